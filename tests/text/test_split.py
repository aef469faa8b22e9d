from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import StoreError
from pipelines.text.document_keys import document_keys
from pipelines.text.draws import bits
from pipelines.text.ragged import Ragged
from pipelines.text.split import PURPOSE, Split, split_by_group, split_by_id

NOTHING: npt.NDArray[np.int32] = np.zeros(0, np.int32)


def sets(*classes: list[int]) -> Ragged:
    return Ragged.joined([np.array(one, np.int32) for one in classes], NOTHING)


def single(*classes: int) -> Ragged:
    return sets(*([one] for one in classes))


def test_each_class_gives_its_share() -> None:
    classes = single(*([0] * 60 + [1] * 30 + [2] * 10))
    keys = document_keys(range(100))
    split = split_by_id(keys, classes, 3, share=0.2, seed=0)
    held = split.is_held_out(keys, split.strata(classes))
    assert np.bincount(classes.values[held]).tolist() == [12, 6, 2]
    assert not np.array_equal(held, split_by_id(keys, classes, 3, share=0.2, seed=1).is_held_out(keys, classes.values))


def test_it_is_those_of_the_least_hashes() -> None:
    keys = document_keys(range(10))
    split = split_by_id(keys, single(*[0] * 10), 1, share=0.3, seed=7)
    ranks = np.argsort(np.argsort(bits(7, PURPOSE, keys)))
    assert split.is_held_out(keys, np.zeros(10, np.int64)).tolist() == (ranks < 3).tolist()


def test_what_rounding_leaves_over_goes_where_most_is_lost() -> None:
    classes = single(*([0] * 17 + [1] * 9 + [2] * 4))  # 1.7, .9 and .4 of 3
    keys = document_keys(range(30))
    split = split_by_id(keys, classes, 3, share=0.1, seed=0)
    held = split.is_held_out(keys, split.strata(classes))
    assert np.bincount(classes.values[held], minlength=3).tolist() == [2, 1, 0]
    alone = split_by_id(keys[:1], single(0), 1, share=0.9, seed=0)
    assert not alone.is_held_out(keys[:1], np.zeros(1, np.int64)).any()


def test_of_several_classes_the_rarest_counts() -> None:
    classes = sets([0, 1], [0], [0, 2, 1], [], [0, 1])
    split = split_by_id(document_keys(range(5)), classes, 3, share=0.5, seed=0)
    assert split.rarity.tolist() == [2, 1, 0]
    assert split.strata(classes).tolist() == [1, 0, 2, 3, 1]


def test_equal_ids_go_together() -> None:
    keys = document_keys(["a"] * 50 + ["b"] * 50)
    split = split_by_id(keys, single(*[0] * 100), 1, share=0.3, seed=0)
    held = split.is_held_out(keys, np.zeros(100, np.int64))
    assert len(set(held[:50].tolist())) == len(set(held[50:].tolist())) == 1


def test_groups_are_held_out_whole_and_by_their_commonest_class() -> None:
    group = np.repeat(np.arange(200), 5)
    classes = single(*np.where(np.arange(1000) % 5 == group % 4, 1 - group % 2, group % 2).tolist())  # one is another
    keys = document_keys(group.tolist())
    split = split_by_group(keys, classes, 2, share=0.2, seed=0)
    held = split.groups_held_out(keys)
    assert held.reshape(200, 5).all(1).tolist() == held.reshape(200, 5).any(1).tolist()
    assert np.bincount(group[held] % 2).tolist() == [100, 100]
    with pytest.raises(StoreError, match="groups that were not there"):
        split.groups_held_out(document_keys(["another"]))


def test_few_groups_give_one_at_least_and_keep_one() -> None:
    keys = document_keys(["a", "a", "b", "b", "c", "c"])
    for share in (0.01, 0.99):
        split = split_by_group(keys, single(*[0] * 6), 1, share=share, seed=0)
        assert 0 < split.groups_held_out(keys).sum() < 6
    one = split_by_group(keys[:2], single(0, 0), 1, share=0.5, seed=0)
    assert not one.groups_held_out(keys[:2]).any()
    assert one.groups_held_out(keys[:0]).tolist() == []


def test_nothing_moves_when_data_are_added() -> None:
    keys = document_keys(range(300))
    classes = single(*(np.arange(300) % 3).tolist())
    first = split_by_id(keys[:100], classes.take(np.arange(100)), 3, share=0.2, seed=0)
    later = split_by_id(keys, classes, 3, share=0.2, seed=0, before=first)
    strata = later.strata(classes)
    assert np.array_equal(later.is_held_out(keys, strata)[:100], first.is_held_out(keys[:100], strata[:100]))
    assert 0.1 < later.is_held_out(keys, strata).mean() < 0.3
    groups = document_keys((np.arange(300) // 4).tolist())
    by_group = split_by_group(groups[:100], classes.take(np.arange(100)), 3, share=0.2, seed=0)
    more = split_by_group(groups, classes, 3, share=0.2, seed=0, before=by_group)
    assert np.array_equal(more.groups_held_out(groups)[:100], by_group.groups_held_out(groups[:100]))
    assert len(more.groups) == 75


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=80),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_the_order_of_rows_decides_nothing(labels: list[int], share: float, seed: int, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(labels)))))
    keys, classes = document_keys(range(len(labels))), single(*labels)
    groups = document_keys([n // 3 for n in range(len(labels))])

    def held(rows: npt.NDArray[np.int64]) -> tuple[Split, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        by_id = split_by_id(keys[rows], classes.take(rows), 4, share=share, seed=seed)
        by_group = split_by_group(groups[rows], classes.take(rows), 4, share=share, seed=seed)
        return by_id, by_id.is_held_out(keys, by_id.strata(classes)), by_group.groups_held_out(groups)

    (split, one, whole), (_, two, whole_too) = held(np.arange(len(labels))), held(order)
    assert np.array_equal(one, two)
    assert np.array_equal(whole, whole_too)
    assert len(split.thresholds) == 5
    assert abs(int(one.sum()) - share * len(labels)) <= 4.5


@settings(max_examples=30, deadline=None)
@given(num=st.integers(20, 200), more=st.integers(0, 200), share=st.floats(0.05, 0.5), seed=st.integers(0, 3))
def test_decided_anew_only_what_lies_between_the_thresholds_moves(num: int, more: int, share: float, seed: int) -> None:
    keys = document_keys(range(num + more))
    classes = single(*(np.arange(num + more) % 3).tolist())
    small = split_by_id(keys[:num], classes.take(np.arange(num)), 3, share=share, seed=seed)
    large = split_by_id(keys, classes, 3, share=share, seed=seed)
    strata = np.arange(num) % 3
    before, after = (one.is_held_out(keys[:num], strata) for one in (small, large))
    hashes = bits(seed, PURPOSE, keys[:num])
    low, high = (find(small.thresholds, large.thresholds)[strata] for find in (np.minimum, np.maximum))
    assert np.array_equal(before != after, (hashes >= low) & (hashes < high))
