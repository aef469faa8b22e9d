from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.model.asked import Asked, asked_of
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec


def test_what_outputs_need(minilm: ModelFolder) -> None:
    assert asked_of(EmbedSpec(model="m"), minilm) == Asked()
    assert asked_of(PredictSpec(model="m"), minilm) == Asked()
    assert asked_of(PredictSpec(model="m", mask_every=2), minilm) == Asked(words=True)
    assert asked_of(PredictSpec(model="m", outputs=["token_embeddings"]), minilm) == Asked(chars=True)
    assert asked_of(PredictSpec(model="m", outputs=["next_sentence"]), minilm) == Asked()
    assert asked_of(PredictSpec(model="m", outputs=["next_sentence"], text_pair="b"), minilm) == Asked(are_pairs=True)


def test_what_classifiers_need(make_folder: Callable[..., Path]) -> None:
    chunks, tokens, answers = (
        read_folder(make_folder("Bert", kind=kind))
        for kind in ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
    )
    asked = PredictSpec(model="m", outputs=["classify"])
    assert asked_of(asked, chunks) == Asked()
    assert asked_of(asked, tokens) == Asked(chars=True)
    by_words = PredictSpec(model="m", outputs=["classify"], aggregation="first")
    assert asked_of(by_words, tokens) == Asked(chars=True, words=True)
    question = PredictSpec(model="m", outputs=["classify"], question="Who?")
    assert asked_of(question, answers) == Asked(chars=True, words=True, are_pairs=True)
