from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.masking import IGNORED, Vocabulary, epoch, mask, tokenized
from pipelines.model.loop import Chunks
from tests.model.conftest import save_tokenizer
from tests.tiny import VOCABULARY

PAD, CLS, SEP, MASK = 0, 2, 3, 4
FIRST = 5


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(pad_id=PAD, mask_id=MASK, ordinary=np.arange(FIRST, 1000))


def test_texts_are_cut_and_special_tokens_known(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    chunks, vocabulary = tokenized(["the king", "the ship of the night"], tmp_path, max_seqlen=5)
    words = [VOCABULARY[token] for token in chunks.values]
    assert words == ["[CLS]", "the", "king", "[SEP]", "[CLS]", "the", "ship", "of", "[SEP]"]
    assert chunks.offsets.tolist() == [0, 4, 9]
    assert (vocabulary.pad_id, vocabulary.mask_id) == (PAD, MASK)
    assert vocabulary.ordinary.tolist() == sorted({word: number for number, word in enumerate(VOCABULARY)}.values())[5:]


def test_fifteen_of_a_hundred_are_told_and_eight_of_ten_of_them_masked(vocabulary: Vocabulary) -> None:
    """Of 200,000 tokens 100,000 are special: 15,000 are told, 12,000 masked, 1,500 replaced, 1,500 left as they are."""
    values = np.tile([CLS, 7, SEP, 8], 50_000).astype(np.int32)
    input_ids, labels = mask(values, vocabulary, np.random.default_rng(1))
    told = labels != IGNORED
    assert told.sum() == pytest.approx(15_000, rel=0.05)
    assert (input_ids[told] == MASK).sum() == pytest.approx(12_000, rel=0.05)
    assert (input_ids[told] == values[told]).sum() == pytest.approx(1_500, rel=0.1)
    others = input_ids[told & (input_ids != MASK) & (input_ids != values)]
    assert len(others) == pytest.approx(1_500, rel=0.1)
    assert others.min() >= FIRST
    assert len(set(others.tolist())) > 500
    assert (labels[told] == values[told]).all()
    assert (input_ids[~told] == values[~told]).all()


def test_special_tokens_are_never_hidden(vocabulary: Vocabulary) -> None:
    values = np.tile([PAD, CLS, SEP, MASK], 1000).astype(np.int32)
    input_ids, labels = mask(values, vocabulary, np.random.default_rng(1))
    assert (input_ids == values).all()
    assert (labels == IGNORED).all()


def test_an_epoch_has_each_text_once_and_hides_others_the_next_time(vocabulary: Vocabulary) -> None:
    lengths = np.random.default_rng(0).integers(3, 20, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.full(offsets[-1], CLS, np.int32)
    values[offsets[:-1] + 1] = FIRST + np.arange(50)  # one ordinary token a text tells which it is
    chunks, rng = Chunks(values, offsets), np.random.default_rng(3)
    hidden = []
    for _ in range(2):
        batches = list(epoch(chunks, vocabulary, 40, rng))
        was = [np.where(batch.labels == IGNORED, batch.input_ids, batch.labels)[:, 1] for batch in batches]
        assert sorted(np.concatenate(was).tolist()) == list(range(FIRST, FIRST + 50))
        assert all(batch.input_ids.size <= 40 for batch in batches)
        assert sum(int(batch.attention_mask.sum()) for batch in batches) == offsets[-1]
        assert all((batch.input_ids[batch.attention_mask == 0] == PAD).all() for batch in batches)
        hidden.append({int(token) for batch in batches for token in batch.labels[batch.labels != IGNORED]})
    assert hidden[0] != hidden[1]


def test_the_same_seed_gives_the_same_batches(vocabulary: Vocabulary) -> None:
    chunks = Chunks(np.arange(FIRST, FIRST + 60, dtype=np.int32), np.arange(0, 61, 6))
    one, other = (list(epoch(chunks, vocabulary, 12, np.random.default_rng(7))) for _ in range(2))
    assert all(
        (a.input_ids == b.input_ids).all() and (a.labels == b.labels).all() for a, b in zip(one, other, strict=True)
    )
