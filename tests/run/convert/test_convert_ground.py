"""What is found out of files before anything starts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import FingerprintError, SpecError
from pipelines.run.convert import convert_ground
from pipelines.run.convert.convert_ground import ConvertGround, survey_files
from pipelines.run.order import Order


def survey(folder: Path, output: str = "out", **fields: Any) -> ConvertGround:
    order = Order(job="convert", documents=str(folder / "in"), output=str(folder / output))
    return survey_files(order, ConvertSpec(**fields))


def write(path: Path, *rows: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))


def test_columns_are_those_of_all_files_and_stay(tmp_path: Path) -> None:
    write(tmp_path / "in/a.jsonl", {"text": "a", "n": 1}, "no JSON")
    write(tmp_path / "in/b.csv", "text,x", "b,1")
    write(tmp_path / "in/c.txt", "c")
    write(tmp_path / "in/empty.jsonl")
    (tmp_path / "in/broken.jsonl.gz").write_bytes(gzip.compress(b"x")[:9])
    found = survey(tmp_path)
    assert {one.name: str(one.type) for one in found.conversion.columns.schema} == {
        "id": "string",
        "text": "string",
        "n": "int64",
        "x": "string",
    }
    assert len(found.sources) == 5
    assert found.local_files == [str(tmp_path / "in"), str(tmp_path / "out/_manta/spec.json")]
    write(tmp_path / "in/d.jsonl", {"text": "a", "n": "another type now"})
    assert survey(tmp_path).conversion.columns == found.conversion.columns
    with pytest.raises(FingerprintError, match="was converted otherwise: shard_rows"):
        survey(tmp_path, shard_rows=5)


def test_nothing_is_claimed_where_the_files_are_wrong(tmp_path: Path) -> None:
    write(tmp_path / "in/a.jsonl", {"text": "a", "n": 1}, {"text": "b", "n": "secret words"})
    with pytest.raises(
        SpecError, match=r"^a.jsonl, line 2: column 'n' has a string where a whole number was before"
    ) as told:
        survey(tmp_path)
    assert "secret" not in str(told.value)
    write(tmp_path / "in/a.jsonl", "[", "1]")
    with pytest.raises(SpecError, match=r"none of 1 files holds a document; the first: a.jsonl is one JSON array"):
        survey(tmp_path)
    with pytest.raises(SpecError, match="is among the documents"):
        survey(tmp_path, "in/out")
    assert not (tmp_path / "out").exists()


def test_of_many_files_some_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        write(tmp_path / f"in/{number}.jsonl", {"text": "a", f"column_{number}": 1})
    monkeypatch.setattr(convert_ground, "MOST_FILES", 3)
    assert survey(tmp_path).conversion.columns.schema.names == ["id", "text", "column_0", "column_3", "column_6"]


def test_only_the_beginning_of_a_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_ground, "SAMPLE_BYTES", 10)
    write(tmp_path / "in/a.jsonl", {"text": "a"}, {"text": "b", "late": 1})
    assert survey(tmp_path).conversion.columns.schema.names == ["id", "text"]
