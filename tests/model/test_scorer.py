"""Fillings and scores against transformers, a text and a masked copy at a time, with logits everywhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.model import scorer
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.loop import Chunks
from pipelines.model.reader import Reader
from pipelines.model.scorer import MaskScorer
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.predict_spec import PredictSpec

MASK = 4
TEXTS = ["the [MASK] of the [MASK]", "stone bread wind night", "", "[MASK]", "a king, a [MASK] and gold", "the"]


@pytest.fixture(scope="module", params=["Bert", "ModernBert"])
def folder(request: pytest.FixtureRequest, make_folder: Callable[..., Path]) -> ModelFolder:
    return read_folder(make_folder(request.param, kind="ForMaskedLM"))


@pytest.fixture(scope="module")
def plain(folder: ModelFolder) -> Callable[[list[int]], torch.Tensor]:
    """Log-probabilities [S, V] of one text."""
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(folder.path, attn_implementation="eager").eval()

    @torch.inference_mode()
    def log_probs(ids: list[int]) -> torch.Tensor:
        return model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)

    return log_probs


def spec_for(folder: ModelFolder, **fields: Any) -> PredictSpec:
    return resolve(PredictSpec(model=str(folder.path), **{"precision": "float32", **fields}), folder)


def tokenized(folder: ModelFolder) -> TokenizedDocuments:
    return DocumentTokenizer(folder, spec_for(folder)).tokenize(TEXTS, with_words=True)


def chunks_of(tokens: TokenizedDocuments) -> Chunks:
    return Chunks(tokens.values, tokens.offsets)


def scorable(tokens: TokenizedDocuments) -> np.ndarray:
    return tokens.values > MASK


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_fillings_are_the_likeliest_tokens(folder: ModelFolder, plain: Callable[..., torch.Tensor], path: str) -> None:
    chunks = chunks_of(tokenized(folder))
    found = MaskScorer(Reader(folder, spec_for(folder), token_budget=12, path=path)).fill(chunks, MASK, 3)
    expected = []
    for start, stop in pairwise(chunks.offsets.tolist()):
        ids = chunks.values[start:stop].tolist()
        expected += [plain(ids)[place].topk(3) for place, token in enumerate(ids) if token == MASK]
    assert len(expected) == 4
    np.testing.assert_allclose(found.log_probs, np.stack([one.values for one in expected]), atol=1e-5)
    np.testing.assert_array_equal(found.ids, np.stack([one.indices for one in expected]))
    assert found.failures == {}
    assert found.stats.num_tokens == 7 + 3 + 9  # the texts without a mask are not run


def one_at_a_time(
    ids: list[int], words: list[int], unit: str, plain: Callable[[list[int]], torch.Tensor]
) -> list[float]:
    """Log-probabilities of a text's tokens, a copy each."""
    scores = []
    for place, token in enumerate(ids):
        together = [place] if unit == "token" else [i for i, word in enumerate(words) if word == words[place]]
        hidden = [i for i in together if unit != "word_l2r" or i >= place]
        copy = [MASK if i in hidden else other for i, other in enumerate(ids)]
        scores.append(float(plain(copy)[place, token]) if token > MASK else np.nan)
    return scores


@pytest.mark.parametrize("path", ["padded", "packed"])
@pytest.mark.parametrize("unit", ["token", "word", "word_l2r"])
def test_scores_are_those_of_a_copy_a_token(
    folder: ModelFolder, plain: Callable[..., torch.Tensor], path: str, unit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "GROUP_TOKENS", 30)
    tokens = tokenized(folder)
    words = np.array([min(word, 2) for word in tokens.words])  # so that some words have several tokens
    words[tokens.values == MASK] = -2  # a mask that stands in the text parts words
    found = MaskScorer(Reader(folder, spec_for(folder), token_budget=25, path=path)).score(
        chunks_of(tokens), scorable(tokens), words, MASK, unit
    )
    expected = []
    for start, stop in pairwise(tokens.offsets.tolist()):
        expected += one_at_a_time(tokens.values[start:stop].tolist(), words[start:stop].tolist(), unit, plain)
    np.testing.assert_allclose(found.log_probs, expected, atol=1e-5)
    assert np.isnan(expected).tolist() == (~scorable(tokens)).tolist()


def test_a_stride_masks_several_at_once(folder: ModelFolder, plain: Callable[..., torch.Tensor]) -> None:
    tokens = DocumentTokenizer(folder, spec_for(folder)).tokenize(["stone bread wind night"])
    found = MaskScorer(Reader(folder, spec_for(folder))).score(
        chunks_of(tokens), scorable(tokens), np.zeros(6), MASK, stride=2
    )
    cls, a, b, c, d, sep = tokens.values.tolist()
    odd, even = plain([cls, MASK, b, MASK, d, sep]), plain([cls, a, MASK, c, MASK, sep])
    expected = [odd[1, a], even[2, b], odd[3, c], even[4, d]]
    np.testing.assert_allclose(found.log_probs[1:-1], expected, atol=1e-5)
    assert found.stats.num_tokens == 2 * 6


def test_a_chunk_that_fails_has_no_scores_and_the_others_have(folder: ModelFolder) -> None:
    spec = spec_for(folder)
    values = np.array([2, 7, 8, 3, 2, 10**6, 8, 3, 2, 7, 8, 3], np.int32)
    chunks = Chunks(values, np.array([0, 4, 8, 12]))
    found = MaskScorer(Reader(folder, spec)).score(chunks, values > MASK, np.arange(12), MASK)
    assert found.failures == {1: f"a token id is outside the model's vocabulary of {folder.config['vocab_size']}"}
    assert np.isfinite(found.log_probs).tolist() == [False, True, True, False, *[False] * 4, False, True, True, False]
    np.testing.assert_array_equal(found.log_probs[:4], found.log_probs[8:])
    values[[2, 6, 10]] = MASK
    fillings = MaskScorer(Reader(folder, spec)).fill(chunks, MASK, 2)
    assert set(fillings.failures) == {1}
    assert (fillings.ids[1] == -1).all()
    np.testing.assert_array_equal(fillings.ids[0], fillings.ids[2])


def test_nothing_to_do(folder: ModelFolder) -> None:
    empty = Chunks(np.zeros(0, np.int32), np.zeros(1, np.int64))
    model = MaskScorer(Reader(folder, spec_for(folder)))
    assert model.fill(empty, MASK, 2).ids.shape == (0, 2)
    assert model.score(empty, np.zeros(0, bool), np.zeros(0), MASK).log_probs.shape == (0,)
    alone = Chunks(np.array([2, 3], np.int32), np.array([0, 2]))
    assert np.isnan(model.score(alone, np.zeros(2, bool), np.zeros(2), MASK).log_probs).all()
