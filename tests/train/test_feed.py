from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.instances import ROW_GROUP
from pipelines.store.location import Location, locate
from pipelines.text.masking import Vocabulary
from pipelines.text.objectives import Task
from pipelines.text.training_batch import Instances, TrainingBatch
from pipelines.train.ahead import Ahead
from pipelines.train.feed import Cut, Feed, HeldOut, Step, steps
from pipelines.train.row_groups import RowGroups, list_row_groups
from tests.instances import Row, drawn_rows, put_part

VOCABULARY = Vocabulary(special=np.arange(100) < 5, continues=np.zeros(100, bool), mask_id=4)
TASK = Task(objective="mlm+nsp", vocabulary=VOCABULARY, seed=9)
PADDED, PACKED = Cut(token_budget=60, padded=True), Cut(token_budget=60, padded=False)


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return locate(str(tmp_path))


def put_parts(location: Location, *parts: list[Row], row_group: int = 8) -> RowGroups:
    keys = [f"parts/{n}.parquet" for n in range(len(parts))]
    for key, rows in zip(keys, parts, strict=True):
        put_part(location, key, rows, row_group)
    return list_row_groups(location, keys)


def ids(of: Instances | TrainingBatch) -> list[tuple[int, ...]]:
    return [tuple(of.values[a:b].tolist()) for a, b in itertools.pairwise(of.offsets)]


def unmasked(batch: TrainingBatch) -> list[tuple[int, ...]]:
    values = batch.values.copy()
    values[batch.positions] = batch.targets
    return ids(replace(batch, values=values))


def test_a_restart_with_other_ranks_sees_each_instance_once_an_epoch(location: Location) -> None:
    parts = [drawn_rows(21, 1), drawn_rows(11, 2), drawn_rows(18, 3)]
    row_groups = put_parts(location, *parts)
    seen: Counter[tuple[int, ...]] = Counter()
    position = 0
    for world in (3, 1, 2, 4, 5):  # two steps each, 50 instances in all
        feed = Feed(row_groups, num_streams=4, seed=5)
        for _ in range(2):
            seen.update(one for rank in range(world) for one in ids(feed.share(position, 5, rank, world)))
            position += 5
    assert position == feed.num_instances == 50
    assert seen == Counter(tuple(row[0]) for part in parts for row in part)


def test_names_and_documents_of_a_share(location: Location) -> None:
    parts = [drawn_rows(21, 1), drawn_rows(11, 2)]
    feed = Feed(put_parts(location, *parts), num_streams=4, seed=5)
    for position, rank in [(0, 0), (24, 1), (24, 2)]:
        named = feed.names(position, 12, rank, 3)
        expected = [tuple(parts[int(key[6:7])][row][0]) for key, row in named]
        share = feed.share(position, 12, rank, 3)
        assert ids(share) == expected
        assert feed.documents(share.number) == [f"d{row}" for _, row in named]


def test_row_groups_are_read_once_an_epoch_where_ranks_divide_the_streams(location: Location) -> None:
    row_groups = put_parts(location, *[drawn_rows(64, seed) for seed in range(8)])
    feed = Feed(row_groups, num_streams=4, seed=1)
    for position in range(0, 512, 2):  # a batch of half the streams: what the others read stays decoded
        feed.share(position, 2, 0, 1)
    assert len(row_groups) == feed._reader.num_read == 64


@pytest.mark.parametrize("cut", [PADDED, PACKED])
def test_micro_batches_hold_each_instance_once_within_the_budget(location: Location, cut: Cut) -> None:
    feed = Feed(put_parts(location, drawn_rows(60, 1)), num_streams=4, seed=5)
    [step] = itertools.islice(steps(feed, TASK, cut, position=0, batch_size=40, rank=1, world=2), 1)
    assert Counter(one for batch in step.batches for one in unmasked(batch)) == Counter(ids(step.instances))
    lengths = [np.diff(batch.offsets) for batch in step.batches]
    costs = [len(sizes) * sizes.max() if cut.padded else sizes.sum() for sizes in lengths]
    assert max(costs) <= 60
    assert len(step.batches) > 1
    assert [int(sizes.max()) for sizes in lengths] == sorted((int(sizes.max()) for sizes in lengths), reverse=True)
    assert step.num_tokens == sum(map(len, ids(step.instances)))


def test_an_instance_is_masked_the_same_in_any_micro_batch(location: Location) -> None:
    feed = Feed(put_parts(location, drawn_rows(60, 1)), num_streams=4, seed=5)
    whole = ids(TASK.batch(feed.share(0, 40, 0, 1)))
    for world, cut in [(1, PADDED), (3, PACKED)]:
        found = [
            one
            for rank in range(world)
            for batch in next(steps(feed, TASK, cut, position=0, batch_size=40, rank=rank, world=world)).batches
            for one in ids(batch)
        ]
        assert Counter(found) == Counter(whole)


def test_steps_go_on_from_a_position_ahead_of_their_use(location: Location) -> None:
    feed = Feed(put_parts(location, drawn_rows(60, 1)), num_streams=4, seed=5)

    def first(position: int) -> list[Step]:
        with Ahead(steps(feed, TASK, PADDED, position=position, batch_size=8, rank=0, world=2), depth=3) as ahead:
            return list(itertools.islice(ahead, 12))

    whole, resumed = first(0), first(32)
    assert [step.position for step in resumed] == list(range(32, 128, 8))
    assert [[ids(batch) for batch in step.batches] for step in whole[4:]] == [
        [ids(batch) for batch in step.batches] for step in resumed[:8]
    ]
    assert whole[-1].instances.epoch.tolist() == [1] * 4


def test_more_workers_than_instances_of_a_step_are_refused(location: Location) -> None:
    feed = Feed(put_parts(location, drawn_rows(9, 1)), num_streams=4, seed=5)
    with pytest.raises(SpecError, match="global_batch=2 is less than 3 workers: take a larger one, or fewer"):
        steps(feed, TASK, PADDED, position=0, batch_size=2, rank=0, world=3)


def test_what_makes_reading_dear_is_said(location: Location) -> None:
    feed = Feed(put_parts(location, drawn_rows(30, 1)), num_streams=4, seed=5)
    assert feed.cautions(8) == []
    assert [text.split(":")[1] for text in feed.cautions(30)] == [" choose one that is"]
    assert [text.split(",")[0] for text in feed.cautions(32)] == [
        "global_batch=32 is more than the 30 instances there are"
    ]
    large = Feed(put_parts(location, drawn_rows(1100, 1), row_group=ROW_GROUP + 1), num_streams=4, seed=5)
    assert large.cautions(8) == [
        "a row group has 1025 instances, and is read and kept as a whole: write at most 1024 a row group"
    ]


def test_held_out_instances_are_the_same_at_any_number_of_ranks(location: Location) -> None:
    rows = drawn_rows(60, 1)
    row_groups = put_parts(location, rows[:40], rows[40:])
    one = HeldOut(row_groups, max_instances=50, rank=0, world=1)
    three = [HeldOut(row_groups, max_instances=50, rank=rank, world=3) for rank in range(3)]
    assert [len(each.instances) for each in three] == [16, 17, 17]
    assert [one for each in three for one in ids(each.instances)] == ids(one.instances)
    assert len(set(one.instances.number.tolist())) == 50
    everything = HeldOut(row_groups, max_instances=1000, rank=0, world=1)
    assert Counter(ids(everything.instances)) == Counter(tuple(row[0]) for row in rows)
    assert [len(HeldOut(row_groups, max_instances=2, rank=rank, world=3).instances) for rank in range(3)] == [0, 1, 1]


def test_evaluations_mask_the_same_whatever_the_seed(location: Location) -> None:
    row_groups = put_parts(location, drawn_rows(60, 1))
    held_out = HeldOut(row_groups, max_instances=50, rank=0, world=1)
    first = [one for batch in held_out.batches(TASK, PADDED) for one in ids(batch)]
    again = [one for batch in held_out.batches(replace(TASK, seed=1), PACKED) for one in ids(batch)]
    assert Counter(first) == Counter(again)
    empty = HeldOut(row_groups, max_instances=1, rank=0, world=2)
    assert list(empty.batches(TASK, PADDED)) == []
