from __future__ import annotations

import itertools
import pickle
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.store.location import Location, locate
from pipelines.text.ragged import Ragged
from pipelines.text.training_batch import Instances
from pipelines.train.row_groups import RowGroupReader, RowGroups, list_row_groups
from pipelines.train.streams import Places
from tests.example_rows import example, put_examples
from tests.instances import drawn_rows, put_part
from tests.servers import S3Server

A, B, C = drawn_rows(20, 1), drawn_rows(5, 2), drawn_rows(9, 3)
KEYS = ["parts/x/0-9.parquet", "parts/x/9-5.parquet", "parts/none.parquet", "parts/y/0-4.parquet"]


def three_parts(location: Location) -> RowGroups:
    for key, rows in zip(KEYS, [A, B, [], C], strict=True):
        put_part(location, key, rows)
    return list_row_groups(location, KEYS)


def at(row_groups: RowGroups, *group_rows: tuple[int, int]) -> Places:
    group, row = np.array(group_rows, np.int64).reshape(-1, 2).T
    begins = np.cumsum(row_groups.num_rows) - row_groups.num_rows
    return Places(epoch=np.full(len(row), 3), group=group, row=row, number=begins[group] + row)


def ids(instances: Instances) -> list[list[int]]:
    return [instances.values[a:b].tolist() for a, b in itertools.pairwise(instances.offsets)]


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return locate(str(tmp_path / "instances"))


def test_row_groups_are_listed_in_the_order_of_the_parts(location: Location) -> None:
    done: list[int] = []
    three_parts(location)
    found = list_row_groups(location, KEYS, on_progress=done.append)
    assert found.num_rows[found.num_rows > 0].tolist() == [8, 8, 4, 5, 8, 1]
    assert found.part[found.num_rows > 0].tolist() == [0, 0, 0, 1, 3, 3]
    assert found.index[found.num_rows > 0].tolist() == [0, 1, 2, 0, 0, 1]
    assert found.num_instances == 34
    assert done == [1, 2, 3, 4]
    assert len(list_row_groups(location, [])) == 0


def test_instances_are_read_in_the_order_asked_for(location: Location) -> None:
    listed = pickle.loads(pickle.dumps(three_parts(location)))
    last = len(listed) - 1
    places = at(listed, (last, 0), (0, 7), (3, 4), (0, 2), (2, 3), (0, 2))
    found = RowGroupReader(listed).instances(places, max_kept=10)
    expected = [C[8], A[7], B[4], A[2], A[19], A[2]]
    assert ids(found) == [row[0] for row in expected]
    assert found.segment_b_start.tolist() == [row[1] for row in expected]
    assert found.sentence_labels.tolist() == [row[2] for row in expected]
    assert found.epoch.tolist() == [3] * 6
    assert found.number.tolist() == [33, 7, 24, 2, 19, 2]
    assert (found.values.dtype, found.offsets.dtype) == (np.int32, np.int64)
    assert listed.names(places.number) == [
        (KEYS[3], 8), (KEYS[0], 7), (KEYS[1], 4), (KEYS[0], 2), (KEYS[0], 19), (KEYS[0], 2),
    ]  # fmt: skip


def test_the_last_row_groups_stay_decoded(location: Location) -> None:
    listed = three_parts(location)
    reader = RowGroupReader(listed)
    for group, num_read in [(0, 1), (1, 2), (0, 2), (3, 3), (0, 3), (1, 4), (0, 4)]:  # 3 puts 1 out, not 0
        reader.instances(at(listed, (group, 0)), max_kept=2)
        assert reader.num_read == num_read
    reader.instances(at(listed, (0, 0), (1, 0), (2, 0)), max_kept=2)  # more than may stay: all of them do
    reader.instances(at(listed, (2, 1), (1, 1), (0, 1)), max_kept=2)
    assert reader.num_read == 5
    assert ids(reader.instances(at(listed), max_kept=2)) == []


def test_documents_are_named_by_their_ids_or_by_where_they_are(location: Location) -> None:
    listed = three_parts(location)
    numbers = at(listed, (len(listed) - 1, 0), (0, 7), (3, 4), (2, 3)).number
    assert RowGroupReader(listed).document_ids(numbers) == ["d8", "d7", "d4", "d19"]
    put_part(location, "bare.parquet", B, id_name="")
    bare = list_row_groups(location, ["bare.parquet"])
    assert RowGroupReader(bare).document_ids(np.array([4, 2])) == ["bare.parquet row 4", "bare.parquet row 2"]
    assert RowGroupReader(bare).document_ids(np.array([], np.int64)) == []


def test_on_s3(s3: S3Server) -> None:
    listed = three_parts(locate(f"s3://{s3.bucket()}/{uuid.uuid4().hex}"))
    found = RowGroupReader(listed).instances(at(listed, (1, 0), (0, 0), (3, 0)), max_kept=1)
    assert ids(found) == [A[8][0], A[0][0], B[0][0]]


def test_parts_that_can_not_be_read(location: Location) -> None:
    listed = three_parts(location)
    location.put(KEYS[1], b"no parquet")
    with pytest.raises(StoreError, match=r"9-5\.parquet can't be read: .*run jobs\.prepare again"):
        list_row_groups(location, KEYS)
    location.remove([KEYS[0]])
    with pytest.raises(StoreError, match=r"0-9\.parquet can't be read: .*run jobs\.prepare again"):
        RowGroupReader(listed).instances(at(listed, (0, 0)), max_kept=1)


@pytest.mark.parametrize("rows", [A[:19], A[:16]])
def test_a_part_that_was_changed_after_it_was_listed(
    location: Location, rows: list[tuple[list[int], int, int]]
) -> None:
    listed = three_parts(location)
    put_part(location, KEYS[0], rows)
    with pytest.raises(StoreError, match=r"0-9\.parquet was changed after it was listed: run again"):
        RowGroupReader(listed).instances(at(listed, (2, 0)), max_kept=1)


def test_what_is_no_output_of_prepare(location: Location) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1], "text": ["a"]}), sink)
    location.put("a.parquet", sink.getvalue().to_pybytes())
    with pytest.raises(SpecError, match=r"a\.parquet has no column 'input_ids': name an output of jobs\.prepare"):
        list_row_groups(location, ["a.parquet"])


def test_columns_beside_keep_their_types(location: Location) -> None:
    answer = {"answer_start": 1, "answer_end": 1, "char_starts": [-1, 0, -1], "char_ends": [-1, 4, -1]}
    rows = [
        example([1, 7, 2], **answer, context="Lead", answers=["Lead", "lead"]),
        example([1, 8, 2], **answer, context="Iron", answers=[]),
    ]
    put_examples(location, "parts/a.parquet", "question_answering", rows, row_group=1)
    put_examples(location, "parts/b.parquet", "embedding", [example([1, 2, 1, 2], text_lengths=[2, 2], score=None)])
    listed = list_row_groups(location, ["parts/a.parquet", "parts/b.parquet"])
    names = ["id", "answer_start", "char_starts", "context", "answers"]
    found = RowGroupReader(listed, columns=names).instances(at(listed, (1, 0), (0, 0)), max_kept=1).beside
    assert [np.asarray(found[name]).tolist() for name in ("id", "answer_start", "context")] == [
        ["d1", "d0"],
        [1, 1],
        ["Iron", "Lead"],
    ]
    starts, answers = found["char_starts"], found["answers"]
    assert isinstance(starts, Ragged)
    assert isinstance(answers, Ragged)
    assert (starts.values.dtype, starts[1].tolist()) == (np.int32, [-1, 0, -1])
    assert (answers[0].tolist(), answers[1].tolist()) == ([], ["Lead", "lead"])
    score = RowGroupReader(listed, columns=["score"]).instances(at(listed, (2, 0)), max_kept=1).beside["score"]
    assert np.isnan(np.asarray(score)).tolist() == [True]
    with pytest.raises(SpecError, match=r"a\.parquet has no column 'score': it holds examples of another task"):
        RowGroupReader(listed, columns=["score"]).instances(at(listed, (0, 0)), max_kept=1)
