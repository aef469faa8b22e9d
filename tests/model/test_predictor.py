from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.loop import Chunks
from pipelines.model.predictor import Predictor
from pipelines.model.scorer import MaskScorer
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.spec import PredictSpec
from tests.tiny import VOCABULARY

CLS, SEP, MASK = 2, 3, 4


@pytest.fixture(scope="module")
def folder(make_folder: Callable[..., Path]) -> ModelFolder:
    return read_folder(make_folder("Bert", kind="ForMaskedLM"))


def predictor(folder: ModelFolder, **fields: Any) -> tuple[Predictor, DocumentTokenizer]:
    spec = resolve(PredictSpec(model="m", precision="float32", **fields), folder)
    tokenizer = DocumentTokenizer(folder, spec)
    return Predictor(MaskScorer(folder, spec), tokenizer, spec), tokenizer


def chunks_of(tokenizer: DocumentTokenizer, texts: list[str]) -> tuple[Chunks, np.ndarray]:
    tokens = tokenizer.tokenize(texts, with_words=True)
    assert tokens.words is not None
    return Chunks(tokens.values, tokens.offsets), tokens.words


def test_texts_are_decoded_with_the_likeliest_filling(folder: ModelFolder) -> None:
    model, tokenizer = predictor(folder, top_k=2)
    chunks, _ = chunks_of(tokenizer, ["the [MASK] of bread", "stone", "[MASK] [MASK]"])
    found = model.fill(chunks)
    assert found.counts.tolist() == [1, 0, 2]
    assert found.positions.tolist() == [2, 1, 2]
    assert found.tokens == [VOCABULARY[token] for token in found.ids.ravel()]
    best = [found.tokens[2 * mask] for mask in range(3)]
    plain = [tokenizer.decode([VOCABULARY.index(token) for token in row])
             for row in (["the", best[0], "of", "bread"], ["stone"], best[1:])]  # fmt: skip
    assert found.texts == plain
    assert (found.log_probs[:, 0] >= found.log_probs[:, 1]).all()


def test_words_are_masked_where_a_text_has_no_mask(folder: ModelFolder) -> None:
    model, tokenizer = predictor(folder, mask_every=2)
    chunks, words = chunks_of(tokenizer, ["the king of bread and wind", "the [MASK] of bread", "king"])
    found = model.fill(chunks, words)
    assert found.counts.tolist() == [3, 1, 0]
    assert found.positions.tolist() == [2, 4, 6, 2]


def test_a_pseudo_perplexity_by_hand(folder: ModelFolder) -> None:
    from transformers import AutoModelForMaskedLM

    plain = AutoModelForMaskedLM.from_pretrained(folder.path).eval()
    model, tokenizer = predictor(folder)
    chunks, _ = chunks_of(tokenizer, ["stone bread [MASK] wind", "", "king"])
    found = model.perplexity(chunks)
    ids = chunks.values[:6].astype(np.int64)
    expected = 0.0
    for place in (1, 2, 4):
        copy = torch.from_numpy(ids.copy())
        copy[place] = MASK
        with torch.inference_mode():
            expected += float(plain(input_ids=copy[None]).logits[0, place].log_softmax(-1)[ids[place]])
    assert found.num_scored.tolist() == [3, 0, 1]
    assert found.log_prob[0] == pytest.approx(expected, abs=1e-5)
    assert found.perplexity[0] == pytest.approx(math.exp(-expected / 3), rel=1e-5)
    assert np.isnan(found.perplexity).tolist() == [False, True, True]  # a single token has no context
    assert np.isfinite(found.token_log_probs).tolist() == [
        False, True, True, False, True, False, False, False, False, True, False,
    ]  # fmt: skip


def test_a_chunk_that_fails_is_told_and_the_others_are_filled(folder: ModelFolder) -> None:
    model, tokenizer = predictor(folder, top_k=1)
    chunks = Chunks(np.array([CLS, MASK, SEP, CLS, MASK, 10**6, CLS, MASK, SEP], np.int32), np.array([0, 3, 6, 9]))
    found = model.fill(chunks)
    assert set(found.failures) == {1}
    assert found.tokens == [found.tokens[0], "", found.tokens[0]]
    assert found.texts == [tokenizer.decode([int(found.ids[0, 0])]), "", found.texts[0]]


def test_a_prompt_is_seen_and_not_scored(folder: ModelFolder) -> None:
    model, tokenizer = predictor(folder, prompt="the king ")
    chunks, words = chunks_of(tokenizer, ["of bread"])
    assert len(chunks.values) == 6
    for found in (model.perplexity(chunks), model.perplexity(chunks, words)):
        assert np.flatnonzero(np.isfinite(found.token_log_probs)).tolist() == [3, 4]


def test_a_tokenizer_without_a_mask_is_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    (path / "tokenizer.json").write_text((path / "tokenizer.json").read_text().replace("[MASK]", "[HOLE]"))
    with pytest.raises(SpecError, match="has no mask token"):
        predictor(read_folder(path))
