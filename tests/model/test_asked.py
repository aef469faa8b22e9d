from __future__ import annotations

from pipelines.model.asked import Asked, asked_of
from pipelines.model.folder import ModelFolder
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec


def test_what_outputs_need(minilm: ModelFolder) -> None:
    assert asked_of(EmbedSpec(model="m"), minilm) == Asked()
    assert asked_of(PredictSpec(model="m"), minilm) == Asked()
    assert asked_of(PredictSpec(model="m", mask_every=2), minilm) == Asked(words=True)
    assert asked_of(PredictSpec(model="m", outputs=["token_embeddings"]), minilm) == Asked(chars=True)
    assert asked_of(PredictSpec(model="m", outputs=["next_sentence"]), minilm) == Asked()
    assert asked_of(PredictSpec(model="m", outputs=["next_sentence"], text_pair="b"), minilm) == Asked(are_pairs=True)
