from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.draws import bits, uniform
from pipelines.text.masking import MARK, MASKING, ORDER, Masked, Vocabulary, mask
from pipelines.text.training_batch import Instances
from tests.instances import instances

SIZE = 1000
PAD, UNKNOWN, CLS, SEP, MASK = range(5)
VOCABULARY = Vocabulary(
    special=np.isin(np.arange(SIZE), [PAD, CLS, SEP, MASK]),
    continues=np.arange(SIZE) >= 900,
    mask_id=MASK,
    unknown_id=UNKNOWN,
)


def drawn(num: int, length: int, first: int = 0) -> Instances:
    """Instances of so many ordinary tokens, a tenth of which go on a word, in two segments."""
    ids = 5 + np.random.default_rng(0).integers(SIZE - 5, size=(num, length))
    half = length // 2
    return instances([[CLS, *row[:half], SEP, *row[half:], SEP] for row in ids.tolist()], first)


def told(masked: Masked, of: Instances) -> list[list[int]]:
    """Places that are told, for each instance."""
    places = masked.positions.tolist()
    return [[p - a for p in places if a <= p < b] for a, b in itertools.pairwise(of.offsets.tolist())]


def test_targets_are_what_stood_there_and_nothing_else_changes() -> None:
    given_ones = drawn(40, 100)
    masked = mask(given_ones, VOCABULARY, seed=3)
    assert masked.targets.tolist() == given_ones.values[masked.positions].tolist()
    restored = masked.values.copy()
    restored[masked.positions] = masked.targets
    assert restored.tolist() == given_ones.values.tolist()
    assert (np.diff(masked.positions) > 0).all()
    assert (masked.values.dtype, masked.positions.dtype, masked.targets.dtype) == (np.int32, np.int64, np.int64)


def test_special_tokens_are_neither_masked_nor_put_in_and_the_unknown_is_not_put_in() -> None:
    few = Vocabulary(special=np.arange(8) < 6, continues=np.zeros(8, bool), mask_id=MASK, unknown_id=7)
    masked = mask(instances([[CLS, 7, 6, 7, SEP]] * 2000), few, seed=1, share=0.99)
    seen = masked.values.reshape(2000, 5)
    assert (seen[:, 0] == CLS).all()
    assert (seen[:, 4] == SEP).all()
    assert set(masked.targets.tolist()) == {6, 7}
    replaced = masked.values[masked.positions] != masked.targets
    assert set(masked.values[masked.positions][replaced].tolist()) == {MASK, 6}


@pytest.mark.parametrize(("length", "counts"), [(1, {1}), (6, {1}), (20, {3}), (50, {7, 8}), (100, {15})])
def test_the_count_is_the_share_rounded_and_at_least_one(length: int, counts: set[int]) -> None:
    given_ones = drawn(300, length)
    masked = mask(given_ones, VOCABULARY, seed=5)
    assert {len(places) for places in told(masked, given_ones)} == counts


def test_an_instance_of_special_tokens_has_none_to_tell() -> None:
    given_ones = instances([[CLS, SEP], [], [CLS, 9, SEP], [SEP]])
    assert told(mask(given_ones, VOCABULARY, seed=1), given_ones) == [[], [], [1], []]
    nothing = mask(instances([]), VOCABULARY, seed=1, whole_words=True)
    assert (nothing.values.tolist(), nothing.positions.tolist(), nothing.targets.tolist()) == ([], [], [])


@pytest.mark.parametrize("whole_words", [False, True])
def test_share_and_fates_are_those_of_the_recipe(whole_words: bool) -> None:
    given_ones = drawn(10_000, 125)
    masked = mask(given_ones, VOCABULARY, seed=11, whole_words=whole_words)
    assert abs(len(masked.positions) / (10_000 * 125) - 0.15) < 0.002
    seen = masked.values[masked.positions]
    assert abs((seen == MASK).mean() - 0.8) < 0.01
    assert abs((seen == masked.targets).mean() - 0.1) < 0.01
    assert abs(((seen != MASK) & (seen != masked.targets)).mean() - 0.1) < 0.01


def test_every_place_is_told_equally_often() -> None:
    counts = np.zeros(127)
    for epoch in range(20):
        given_ones = drawn(1000, 125, first=epoch * 1000)
        positions = mask(given_ones, VOCABULARY, seed=2).positions
        counts += np.bincount(positions % 128, minlength=128)[:127]
    assert counts[[0, 63]].tolist() == [0, 0]
    assert abs(np.delete(counts, [0, 63]) - 3000).max() < 4.5 * np.sqrt(3000 * 0.85)


def test_words_are_told_equally_often_whatever_their_length() -> None:
    row = [CLS, *([10, 20, 900, 30, 900, 901] * 10), SEP]  # words of one, two and three tokens
    given_ones = instances([row] * 4000)
    often = np.bincount(mask(given_ones, VOCABULARY, seed=4, whole_words=True).targets, minlength=SIZE) / 40_000
    assert abs(often[[10, 20, 30]] - 0.15).max() < 0.006


def test_words_are_told_whole_and_end_with_the_segment() -> None:
    row = [CLS, 10, 900, 11, SEP, 901, 12, SEP]
    given_ones = instances([row] * 400)
    found = {tuple(places) for places in told(mask(given_ones, VOCABULARY, seed=8, whole_words=True), given_ones)}
    assert found == {(1, 2), (3,), (5,), (6,)}
    given_ones = instances([[10], [900, 11]])  # without special tokens a word ends with its instance all the same
    assert told(mask(given_ones, VOCABULARY, seed=8, whole_words=True, share=0.01), given_ones)[0] == [0]


def test_draws_follow_the_instance_and_not_the_batch() -> None:
    given_ones = drawn(30, 50)
    whole = mask(given_ones, VOCABULARY, seed=6)
    order = np.random.default_rng(1).permutation(30)
    shuffled = mask(given_ones.take(order), VOCABULARY, seed=6)
    alone = [mask(given_ones.take(np.array([row])), VOCABULARY, seed=6).values.tolist() for row in range(30)]
    assert whole.values.reshape(30, 53)[order].tolist() == shuffled.values.reshape(30, 53).tolist()
    assert whole.values.reshape(30, 53).tolist() == alone


def test_each_epoch_seed_and_instance_has_draws_of_its_own() -> None:
    row = [CLS, *range(10, 110), SEP]
    batches = [instances([row] * 2), instances([row] * 2, epoch=1), instances([row] * 2, first=7)]
    drawn_places = [told(mask(batch, VOCABULARY, seed=0), batch) for batch in batches]
    drawn_places.append(told(mask(batches[0], VOCABULARY, seed=1), batches[0]))
    assert len({tuple(places) for rows in drawn_places for places in rows}) == 8


rows_of_tokens = st.lists(st.lists(st.sampled_from([CLS, SEP, 10, 11, 12, 900, 901]), max_size=20), max_size=6)


@given(rows_of_tokens, st.integers(0, 2**32), st.sampled_from([0.05, 0.15, 0.5]), st.booleans())
def test_what_is_told_equals_the_plain_way(rows: list[list[int]], seed: int, share: float, whole_words: bool) -> None:
    given_ones = instances(rows, first=3, epoch=2)
    masked = mask(given_ones, VOCABULARY, seed=seed, share=share, whole_words=whole_words)
    expected = [told_plainly(row, 3 + i, seed, share, whole_words) for i, row in enumerate(rows)]
    assert told(masked, given_ones) == expected


def told_plainly(row: list[int], number: int, seed: int, share: float, whole_words: bool) -> list[int]:
    """As the module's docstring says it, instance 'number' of epoch 2, word by word."""
    words: list[list[int]] = []
    for place, token in enumerate(row):
        if token in (CLS, SEP):
            continue
        if whole_words and token >= 900 and place and row[place - 1] not in (CLS, SEP):
            words[-1].append(place)
        else:
            words.append([place])
    key = bits(seed, MASKING, 2, number)
    words.sort(key=lambda word: int(bits(ORDER, key, word[0])))
    mark, before, chosen = max(1.0, share * sum(map(len, words))), 0, []
    for word in words:
        if before == 0 or float(uniform(MARK, key)) < (mark - before) / len(word):
            chosen += word
        before += len(word)
    return sorted(chosen)
