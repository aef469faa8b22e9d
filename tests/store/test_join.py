"""Joined outputs: rows by hand, whatever the slicing, the dead letters, the chunks and the repeated ids."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.spec import EmbedSpec, Slicing
from pipelines.store.committed import CommittedPart
from pipelines.store.join import JoinedOutputs, stretches
from pipelines.store.location import Location, locate
from tests.store.test_committed import chunks, vectors, write_output
from tests.tiny import embed_in_turn, rows, sentence, write_shard


def scores(rows: range) -> dict[str, list[object]]:
    return {"row": [*rows], "id": [100 + row for row in rows], "score": [row / 2 for row in rows]}


def joined(*outputs: Location) -> tuple[list[pa.Table], JoinedOutputs]:
    join = JoinedOutputs([output.uri for output in outputs], outputs[0].storage)
    return list(join), join


def test_outputs_that_are_sliced_alike_join_part_by_part(output: Location) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, vectors, max_rows=4)
    write_output(other, scores, max_rows=4)
    tables, join = joined(one, other)
    assert [table.num_rows for table in tables] == [4, 2]
    assert tables[0].column_names == ["id", "embedding", "score"]
    assert tables[1].to_pylist() == [
        {"id": 104, "embedding": [4.0, 0.5], "score": 2.0},
        {"id": 105, "embedding": [5.0, 0.5], "score": 2.5},
    ]
    assert (join.num_rows, join.missing) == (6, {str(one): 0, str(other): 0})


def test_slices_that_differ_are_joined_from_cut_to_cut(output: Location) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, vectors, max_rows=4, num_rows=12)
    write_output(other, scores, max_rows=3, num_rows=8)  # a trial, with --limit
    tables, join = joined(one, other)
    assert [table["id"].to_pylist() for table in tables] == [[100, 101, 102], [103], [104, 105], [106, 107]]
    assert [table["score"].to_pylist() for table in tables] == [[0.0, 0.5, 1.0], [1.5], [2.0, 2.5], [3.0, 3.5]]
    assert (join.num_rows, join.missing) == (8, {str(one): 0, str(other): 4})
    assert sum(table.num_rows for table in join) == 8
    assert join.missing == {str(one): 0, str(other): 4}


def test_dead_letters_are_counted_and_the_others_stay_together(output: Location) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, lambda rows: vectors(rows) | {"id": [7] * len(rows)}, max_rows=3, dead={1, 2})
    write_output(other, lambda rows: scores(rows) | {"id": [7] * len(rows)}, max_rows=2, dead={2, 4})
    tables, join = joined(one, other)
    table = pa.concat_tables(tables)
    assert table["embedding"].to_pylist() == [[0.0, 0.5], [3.0, 0.5], [5.0, 0.5]]
    assert table["score"].to_pylist() == [0.0, 1.5, 2.5]
    assert join.missing == {str(one): 1, str(other): 1}  # row 2 is in neither


def test_documents_stand_beside_each_of_their_chunks(output: Location) -> None:
    one, other, third = (output.join(name) for name in ("one", "other", "third"))
    write_output(one, scores, max_rows=6, dead={2})
    write_output(other, chunks, max_rows=4)
    write_output(third, chunks, max_rows=3, dead={3})
    tables, join = joined(one, other, third)
    table = pa.concat_tables(tables)
    assert table["id"].to_pylist() == [100, 101, 101, 104, 105, 105]
    assert table["score"].to_pylist() == [0.0, 0.5, 0.5, 2.0, 2.5, 2.5]
    assert table["embedding"].to_pylist() == [[0, 0], [1, 0], [1, 1], [4, 0], [5, 0], [5, 1]]
    assert table.column_names == ["id", "score", "embedding", "chunk_index", "char_start", "char_end", "embedding_3"]
    assert table["embedding_3"].equals(table["embedding"])
    assert join.missing == {str(one): 1, str(other): 0, str(third): 1}


def test_names_that_are_taken_get_the_number_of_their_output(output: Location) -> None:
    def told(rows: range) -> dict[str, list[object]]:
        return vectors(rows) | {"year": [1900 + row for row in rows], "embedding_2": [*rows]}

    one, other = output.join("one"), output.join("other")
    write_output(one, told, max_rows=6, passthrough=["year", "embedding_2"])
    write_output(other, lambda rows: vectors(rows) | {"year": [*rows]}, max_rows=6, passthrough=["year"])
    (table,), _ = joined(one, other)
    assert table.column_names == ["id", "embedding", "year", "embedding_2", "embedding_2_2"]
    assert table["year"].to_pylist() == [1900, 1901, 1902, 1903, 1904, 1905]


def test_outputs_of_different_corpora_are_refused(output: Location) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, vectors, max_rows=4)
    with pytest.raises(SpecError, match="cannot be joined: name two outputs or more, each once"):
        joined(one, one)
    write_output(other, scores, max_rows=4, shard_id="00000000000000bb")
    with pytest.raises(SpecError, match="have no shard in common: join outputs of the same --documents"):
        joined(one, other)
    named = output.join("named")
    write_output(named, lambda rows: {"row": [*rows], "key": [*rows]}, max_rows=4, id_name="key")
    with pytest.raises(SpecError, match="have ids of columns id and key"):
        joined(one, named)
    forged = output.join("forged")
    write_output(forged, lambda rows: scores(rows) | {"id": [*rows]}, max_rows=4)
    with pytest.raises(SpecError, match="have other ids for the same rows"):
        joined(one, forged)


def test_other_chunks_are_refused(output: Location) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, chunks, max_rows=4)
    write_output(other, lambda rows: chunks(rows) | {"char_end": [8] * len(chunks(rows)["row"])}, max_rows=4)
    with pytest.raises(SpecError, match="cut documents into different chunks"):
        joined(one, other)


def test_outputs_of_real_runs_join(tiny_model: Path, tmp_path: Path) -> None:
    texts = [None if number == 4 else sentence(number, 4 + number) for number in range(11)]
    write_shard(tmp_path / "corpus/a.parquet", 11, text=texts)
    write_shard(tmp_path / "corpus/b.parquet", 3, first=50)
    spec = EmbedSpec(model=str(tiny_model), precision="float32", passthrough=["year"])
    cut = replace(spec, overlong="chunk", max_seqlen=8, prompt="")
    embed_in_turn(spec, tmp_path / "corpus", tmp_path / "whole", slicing=Slicing(max_rows=4))
    embed_in_turn(cut, tmp_path / "corpus", tmp_path / "cut", slicing=Slicing(max_rows=3))
    tables, join = joined(locate(str(tmp_path / "cut")), locate(str(tmp_path / "whole")))
    whole = {row["id"]: row for row in rows(tmp_path / "whole")}
    expected = [
        row | {f"{name}_2": whole[row["id"]][name] for name in ("embedding", "num_tokens", "truncated")}
        for row in rows(tmp_path / "cut")
    ]
    found = [row for table in tables for row in table.to_pylist()]
    assert sorted(found, key=_place) == sorted(expected, key=_place)
    assert (len(whole), join.num_rows, set(join.missing.values())) == (13, len(expected), {0})
    assert len(expected) > 20


def _place(row: dict[str, Any]) -> tuple[int, int]:
    return row["id"], row["chunk_index"]


def parts(*bounds: int) -> list[CommittedPart]:
    return [
        CommittedPart(key=str(first), first_row=first, num_documents=stop - first, num_dead_letters=0)
        for first, stop in pairwise(bounds)
    ]


def test_each_part_is_read_once(output: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = output.join("one"), output.join("other")
    write_output(one, vectors, max_rows=6)
    write_output(other, scores, max_rows=2)
    real, read = Location.read, list[str]()
    monkeypatch.setattr(Location, "read", lambda self, key="": (read.append(key), real(self, key))[1])
    tables, _ = joined(one, other)
    assert [table.num_rows for table in tables] == [2, 2, 2]
    assert [key.split("/")[-1] for key in read if key.startswith("parts/")] == [
        "0-6.parquet", "0-2.parquet", "2-2.parquet", "4-2.parquet"
    ]  # fmt: skip


def test_stretches_end_at_each_cut() -> None:
    found = list(stretches([parts(0, 2, 4), parts(0, 3), parts(6, 8)]))
    assert [(one.first_row, one.stop_row, [part and part.key for part in one.parts]) for one in found] == [
        (0, 2, ["0", "0", None]),
        (2, 3, ["2", "0", None]),
        (3, 4, ["2", None, None]),
        (6, 8, [None, None, "6"]),
    ]
    assert list(stretches([[], []])) == []


@given(st.lists(st.sets(st.integers(1, 40)).map(lambda cuts: parts(0, *sorted(cuts))), min_size=2, max_size=3))
def test_each_row_of_a_part_is_in_one_stretch(outputs: list[list[CommittedPart]]) -> None:
    found = list(stretches(outputs))
    for number, ours in enumerate(outputs):
        told = [(row, one.parts[number]) for one in found for row in range(one.first_row, one.stop_row)]
        plain = [(row, part) for part in ours for row in range(part.first_row, part.stop_row)]
        assert [(row, part) for row, part in told if part] == plain
