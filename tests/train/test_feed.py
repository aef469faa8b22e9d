from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from pipelines.instances import ROW_GROUP
from pipelines.store.location import Location, locate
from pipelines.text.ragged import Ragged
from pipelines.text.training_batch import Instances, TrainingBatch
from pipelines.train.feed import Feed, held_out_share
from pipelines.train.row_groups import RowGroups, list_row_groups
from tests.example_rows import example, put_examples
from tests.instances import Row, drawn_rows, put_part


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

    def shares(max_instances: int, world: int) -> list[Instances]:
        return [held_out_share(row_groups, max_instances=max_instances, rank=r, world=world) for r in range(world)]

    [whole] = shares(50, 1)
    three = shares(50, 3)
    assert [len(share) for share in three] == [16, 17, 17]
    assert [one for share in three for one in ids(share)] == ids(whole)
    assert len(set(whole.number.tolist())) == 50
    assert Counter(ids(shares(1000, 1)[0])) == Counter(tuple(row[0]) for row in rows)
    assert [len(share) for share in shares(2, 3)] == [0, 1, 1]


def test_the_windows_of_a_question_stay_together(location: Location) -> None:
    windows = [3, 1, 2, 4, 1, 2, 3, 4]  # of each question
    rows = [
        example(
            [1, number, 2], id=f"q{number}", answer_start=0, answer_end=0, char_starts=[-1, 0, -1],
            char_ends=[-1, 1, -1], context="x", answers=["x"],
        )
        for number, count in enumerate(windows) for _ in range(count)
    ]  # fmt: skip
    put_examples(location, "parts/a.parquet", "question_answering", rows, row_group=4)
    row_groups = list_row_groups(location, ["parts/a.parquet"])
    for most in (1, 7, 12, 19):
        found: Counter[str] = Counter()
        for rank in range(3):
            share = held_out_share(row_groups, max_instances=most, rank=rank, world=3, columns=["context", "id"])
            found.update(share.beside["id"].tolist())
        assert all(count == windows[int(name[1:])] for name, count in found.items())
        assert len(found) == 1 if most == 1 else most - 4 < found.total() <= most
    whole = held_out_share(row_groups, max_instances=20, rank=0, world=1, columns=["context", "id"])
    assert Counter(whole.beside["id"].tolist()) == {f"q{number}": count for number, count in enumerate(windows)}


def test_targets_come_beside_the_examples(location: Location) -> None:
    rows = [example([1, 10 + n, 2], labels=list(range(n % 3))) for n in range(20)]
    put_examples(location, "parts/a.parquet", "multi_label", rows)
    row_groups = list_row_groups(location, ["parts/a.parquet"])
    shares = [
        Feed(row_groups, num_streams=2, seed=5, columns=["labels"]).share(15, 10, 0, 1),
        *(held_out_share(row_groups, max_instances=20, rank=r, world=2, columns=["labels"]) for r in (0, 1)),
    ]
    for share in shares:
        labels = share.beside["labels"]
        assert isinstance(labels, Ragged)
        assert [labels[n].tolist() for n in range(10)] == [list(range(n % 3)) for n in share.number.tolist()]
    empty = held_out_share(row_groups, max_instances=1, rank=0, world=2, columns=["labels"])
    assert (len(empty), len(empty.beside["labels"])) == (0, 0)
