"""Several harvests in one pass; what the gate compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.gate import check, reference
from pipelines.model.loop import Chunks
from pipelines.model.reader import Gleaning, Reader, nothing
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec

CHUNKS = Chunks(np.array([2, 7, 3, 2, 8, 9, 3, 2, 3], np.int32), np.array([0, 3, 7, 9]))


@pytest.fixture(scope="module")
def folder(make_folder: Callable[..., Path]) -> ModelFolder:
    return read_folder(make_folder("Bert", kind="ForPreTraining"))


def reader(folder: ModelFolder, *outputs: str, **fields: Any) -> Reader:
    spec = PredictSpec(model="m", outputs=list(outputs), **{"precision": "float32", **fields})
    return Reader(folder, resolve(spec, folder), token_budget=4)


def test_one_pass_serves_all_who_need_its_chunks(folder: ModelFolder) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}

    def noting(name: str) -> Callable[..., None]:
        return lambda rows, hidden_td, lengths_b: seen[name].extend(rows.tolist())

    gleanings = [
        Gleaning(rows=np.array([0]), harvest=noting("a"), probe=lambda: nothing),
        Gleaning(rows=np.array([0, 2]), harvest=noting("b"), probe=lambda: nothing),
    ]
    failures, stats = reader(folder, "embedding").read(CHUNKS, gleanings)
    assert (sorted(seen["a"]), sorted(seen["b"])) == ([0, 2], [0, 2])
    assert failures == {}
    assert stats.num_tokens == 3 + 2  # nobody needs chunk 1


def test_failures_bear_the_numbers_of_the_chunks(folder: ModelFolder) -> None:
    bad = Chunks(np.array([2, 3, 2, 10**6, 2, 3], np.int32), np.array([0, 2, 4, 6]))
    gleaning = Gleaning(rows=np.array([1, 2]), harvest=nothing, probe=lambda: nothing)
    failures, _ = reader(folder, "embedding").read(bad, [gleaning])
    assert set(failures) == {1}


def test_heads_are_loaded_where_an_output_needs_them(folder: ModelFolder) -> None:
    asked = (["embedding"], ["fill_mask"], ["pseudo_perplexity", "next_sentence"])
    plain, masked, both = (reader(folder, *outputs).equipment for outputs in asked)
    assert (plain.mask_head, plain.next_sentence_head) == (None, None)
    assert masked.mask_head is not None
    assert masked.next_sentence_head is None
    assert both.mask_head is not None
    assert both.next_sentence_head is not None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_without_masks_the_gate_compares_means(folder: ModelFolder, precision: str) -> None:
    spec = resolve(PredictSpec(model="m", outputs=["token_embeddings"], precision=precision), folder)  # type: ignore[arg-type]
    truth = reference(folder, spec)
    assert truth.vectors.shape == (8, folder.hidden_size)
    assert check(Reader(folder, spec), DocumentTokenizer(folder, spec), truth) > 0.995


def test_the_mean_is_that_of_all_tokens(folder: ModelFolder) -> None:
    from transformers import AutoModel

    plain = AutoModel.from_pretrained(folder.path).eval()
    with torch.inference_mode():
        expected = plain(input_ids=torch.tensor([[2, 8, 9, 3]])).last_hidden_state[0].mean(0).numpy()
    found = reader(folder, "next_sentence").encode(CHUNKS.values, CHUNKS.offsets).vectors
    np.testing.assert_allclose(found[1], expected, atol=1e-5)
