from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.text.draws import order
from pipelines.train.streams import GROUPS, ROWS, Places, Streams

Place = tuple[int, int, int, int]  # epoch, row group, row, number

sizes = st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any)
streams = st.integers(1, 12)


def listed(places: Places) -> list[Place]:
    return list(
        zip(places.epoch.tolist(), places.group.tolist(), places.row.tolist(), places.number.tolist(), strict=True)
    )


def plain_epoch(group_sizes: list[int], num_streams: int, seed: int, epoch: int) -> list[tuple[int, int, Place]]:
    """An epoch as the module's docstring says it: (stream, number in it, place) of each instance g."""
    laid = [
        (epoch, group, row, sum(group_sizes[:group]) + row)
        for group in order(len(group_sizes), seed, GROUPS, epoch).tolist()
        for row in order(group_sizes[group], seed, ROWS, epoch, group).tolist()
    ]
    short, longer = divmod(len(laid), num_streams)
    stretches = []
    for stream in range(num_streams):
        length = short + 1 if stream < longer else short
        stretches.append(laid[:length])
        laid = laid[length:]
    assert laid == []
    return [(g % num_streams, g // num_streams, stretches[g % num_streams][g // num_streams])
            for g in range(sum(group_sizes))]  # fmt: skip


@given(sizes, streams, st.integers(0, 99), st.integers(0, 40), st.integers(1, 70), st.integers(1, 9))
def test_shares_equal_the_plain_way(
    group_sizes: list[int], num_streams: int, seed: int, position: int, batch_size: int, world: int
) -> None:
    total = sum(group_sizes)
    epochs = (position + batch_size) // total + 1
    plain = [one for epoch in range(epochs) for one in plain_epoch(group_sizes, num_streams, seed, epoch)]
    batch = sorted(
        plain[position : position + batch_size], key=lambda one: (one[0], one[2][0], one[1])
    )  # stream, epoch, number
    expected = [place for _, _, place in batch]
    made = Streams(group_sizes, num_streams=num_streams, seed=seed)
    shares = [listed(made.share(position, batch_size, rank, world)) for rank in range(world)]
    assert [place for share in shares for place in share] == expected
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(sizes, streams, st.integers(0, 99))
def test_an_epoch_has_every_instance_once(group_sizes: list[int], num_streams: int, seed: int) -> None:
    made = Streams(group_sizes, num_streams=num_streams, seed=seed)
    total = sum(group_sizes)
    places = made.locate(np.arange(total, 2 * total))
    rows = [(1, group, row) for group, size in enumerate(group_sizes) for row in range(size)]
    assert sorted((e, g, r) for e, g, r, _ in listed(places)) == rows
    assert sorted(places.number.tolist()) == list(range(total))


def test_streams_of_unequal_length_by_hand() -> None:
    made = Streams([4, 3], num_streams=3, seed=1)  # 7 instances: streams of 3, 2 and 2
    laid = [place for _, _, place in sorted(plain_epoch([4, 3], 3, 1, 0))]
    assert listed(made.locate(np.arange(7))) == [laid[at] for at in (0, 3, 5, 1, 4, 6, 2)]


def test_positions_may_be_asked_for_in_any_order_and_far_away() -> None:
    made = Streams([4, 3], num_streams=3, seed=1)
    far = 7 * 10**12
    assert listed(made.locate(np.array([far + 6, far]))) == [
        *listed(made.locate(np.array([far + 6]))), *listed(made.locate(np.array([far]))),
    ]  # fmt: skip
    assert made.locate(np.array([far])).epoch.tolist() == [10**12]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    made, other = (Streams([50] * 10, num_streams=4, seed=seed) for seed in (1, 2))
    first = made.locate(np.arange(500)).number.tolist()
    assert first != made.locate(np.arange(500, 1000)).number.tolist()
    assert first != other.locate(np.arange(500)).number.tolist()
    assert first == Streams([50] * 10, num_streams=4, seed=1).locate(np.arange(500)).number.tolist()


@pytest.mark.parametrize(("world", "most"), [(1, 1.0), (8, 1.09), (64, 1.09), (48, 1.8), (100, 3.0)])
def test_row_groups_are_read_about_once_where_the_ranks_divide_the_streams(world: int, most: float) -> None:
    num_groups, size, num_streams, batch_size = 800, 16, 64, 256
    made = Streams([size] * num_groups, num_streams=num_streams, seed=3)
    opened: set[tuple[int, int]] = set()
    for position in range(0, num_groups * size, batch_size):
        for rank in range(world):
            opened |= {(rank, group) for group in made.share(position, batch_size, rank, world).group.tolist()}
    assert 1 <= len(opened) / num_groups <= most


def test_no_instances_are_refused() -> None:
    with pytest.raises(SpecError, match=r"there are no instances: run jobs\.prepare"):
        Streams([0, 0], num_streams=2, seed=0)
    with pytest.raises(SpecError, match="there are no instances"):
        Streams([], num_streams=2, seed=0)
