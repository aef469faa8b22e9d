from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.variants import vector_specs
from pipelines.predict_spec import PredictSpec


def test_each_embedding_output_is_a_pooling(minilm: ModelFolder) -> None:
    outputs = ["embedding", "embedding_last_token", "fill_mask", "embedding_mean_sqrt_len"]
    found = vector_specs(resolve(PredictSpec(model="m", outputs=outputs), minilm), minilm)
    assert {output: (spec.pooling, spec.normalize, spec.dim) for output, spec in found.items()} == {
        "embedding": ("mean", True, 384),
        "embedding_last_token": ("last_token", True, 384),
        "embedding_mean_sqrt_len": ("mean_sqrt_len", True, 384),
    }


def test_a_pooling_that_what_follows_does_not_take(make_folder: Callable[..., Path]) -> None:
    modules = [("Pooling", {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}),
               ("Dense", {"in_features": 64, "out_features": 8})]  # fmt: skip
    folder = read_folder(make_folder("Bert", modules=modules))
    assert vector_specs(resolve(PredictSpec(model="m", outputs=["embedding"]), folder), folder)["embedding"].dim == 8
    with pytest.raises(SpecError, match="takes 64 numbers, pooling cls gives 32"):
        vector_specs(resolve(PredictSpec(model="m", outputs=["embedding_cls"]), folder), folder)
