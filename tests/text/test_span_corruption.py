from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.text.draws import bits
from pipelines.text.span_corruption import Corrupted, _parted, _stretches, corrupt
from pipelines.text.training_batch import Instances
from tests.instances import instances

END = 1
SENTINELS = (99, 98, 97, 96, 95, 94, 93, 92, 91, 90)
SPECIAL = np.isin(np.arange(100), [0, END, *SENTINELS])


def rows(values: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    return [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def parted(of: Instances, noise: list[int], closing: list[int]) -> Corrupted:
    owner = np.repeat(np.arange(len(of)), of.lengths)
    return _parted(of, owner, np.array(noise, bool), np.array(closing, bool), SENTINELS)


def test_the_example_of_the_paper() -> None:
    # "Thank you for inviting me to your party last week .", figure 2; without the sentinel that ends its targets
    of = instances([[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, END]])
    found = parted(of, [0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0], [0] * 11 + [1])
    assert rows(found.values, found.offsets) == [[10, 11, 99, 14, 15, 16, 17, 98, 19, 20, END]]
    assert rows(found.targets, found.target_offsets) == [[99, 12, 13, 98, 18, END]]
    assert (found.values.dtype, found.targets.dtype) == (np.int32, np.int64)


def test_spans_end_with_their_instance_and_at_special_tokens() -> None:
    of = instances([[10, 11], [12, 13, END, 14, END]])
    found = parted(of, [0, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1])
    assert rows(found.values, found.offsets) == [[10, 99], [99, END, 98, END]]
    assert rows(found.targets, found.target_offsets) == [[99, 11], [99, 12, 13, 98, 14, END]]


def test_noise_ends_an_instance_and_has_the_lengths_of_the_recipe() -> None:
    of = instances([[*range(10, 50), END]] * 300)  # of 40 tokens 6 are noise, in 2 spans
    found = corrupt(of, SPECIAL, SENTINELS, seed=1)
    for values, targets in zip(
        rows(found.values, found.offsets), rows(found.targets, found.target_offsets), strict=True
    ):
        assert len(values) == 40 - 6 + 2 + 1
        assert len(targets) == 6 + 2 + 1
        assert values[0] == 10
        assert values[-2:] == [98, END]
        assert (targets[0], targets[-1]) == (99, END)


def test_little_is_corrupted_too() -> None:
    of = instances([[], [END], [10, END], [10, 11, END], [0, 10, 11, 12, END]])
    found = corrupt(of, SPECIAL, SENTINELS, seed=1)
    assert rows(found.values, found.offsets) == [[], [END], [99, END], [10, 99, END], [0, 10, 11, 99, END]]
    assert rows(found.targets, found.target_offsets) == [[], [END], [99, 10, END], [99, 11, END], [99, 12, END]]


def test_all_ways_to_part_are_as_likely() -> None:
    lengths = _stretches(np.full(6000, 5), np.full(6000, 3), bits(0, np.arange(6000))).reshape(6000, 3)
    ways = Counter(map(tuple, lengths.tolist()))
    expected = {(1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1)}
    assert set(ways) == expected
    assert max(abs(count - 1000) for count in ways.values()) < 120  # four standard deviations


def test_totals_of_any_size_are_parted_beside_each_other() -> None:
    assert _stretches(np.array([3, 0, 1, 4]), np.array([3, 1, 1, 4]), bits(0, np.arange(4))).tolist() == [
        *(1, 1, 1), 0, 1, *(1, 1, 1, 1),
    ]  # fmt: skip


tokens = st.lists(st.sampled_from([0, END, 10, 11, 12, 13]), max_size=40)


@given(st.lists(tokens, max_size=5), st.integers(0, 99), st.sampled_from([0.15, 0.5, 0.9]), st.sampled_from([1.0, 3.0]))
def test_spans_put_back_for_their_sentinels_give_the_instance(
    given_rows: list[list[int]], seed: int, share: float, mean_length: float
) -> None:
    sentinels = tuple(range(1000, 1050))
    special = np.isin(np.arange(1050), [0, END, *sentinels])
    of = instances(given_rows)
    found = corrupt(of, special, sentinels, seed=seed, share=share, mean_length=mean_length)
    for row, values, targets in zip(
        given_rows, rows(found.values, found.offsets), rows(found.targets, found.target_offsets), strict=True
    ):
        assert put_back(values, targets) == row
        num = sum(token >= 10 for token in row)
        noise = sum(10 <= token < 1000 for token in targets)
        assert noise == min(max(round(num * share), 1), max(num - 1, 1)) if num else not noise


def put_back(values: list[int], targets: list[int]) -> list[int]:
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token >= 1000:
            spans[token] = []
        elif token >= 10:
            spans[list(spans)[-1]].append(token)
    return [token for value in values for token in spans.get(value, [value])]


def test_draws_follow_the_instance_and_not_the_batch() -> None:
    of = instances([[*range(10, 10 + length), END] for length in range(5, 60)])
    whole = corrupt(of, SPECIAL, SENTINELS, seed=2)
    taken = corrupt(of.take(np.array([50, 7])), SPECIAL, SENTINELS, seed=2)
    expected = rows(whole.values, whole.offsets)
    assert rows(taken.values, taken.offsets) == [expected[50], expected[7]]
    again = corrupt(instances([[*range(10, 60), END]] * 2, epoch=1), SPECIAL, SENTINELS, seed=2)
    assert rows(again.values, again.offsets)[0] != rows(again.values, again.offsets)[1]
    before = corrupt(instances([[*range(10, 60), END]] * 2), SPECIAL, SENTINELS, seed=2)
    assert again.values.tolist() != before.values.tolist()


def test_too_few_sentinels_are_refused() -> None:
    of = instances([[*range(10, 60), END]])
    with pytest.raises(SpecError, match="has 3 spans, and the tokenizer 2 sentinels: add tokens <extra_id_0>"):
        corrupt(of, SPECIAL, SENTINELS[:2], seed=0)
