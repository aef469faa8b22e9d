"""Rows are forgotten as one, and for good: on a disk and on S3, also where the command is killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError
from pipelines.schema import SliceHeader
from pipelines.store.committed import CommittedOutput
from pipelines.store.forgetting import Forgotten, forget, read_ids
from pipelines.store.lease import hold
from pipelines.store.location import Location, locate
from pipelines.store.manifest import read_manifest
from pipelines.store.parts import list_parts, publish, read_counts, read_dead_letters, read_facts
from tests.sources import ROOT
from tests.store.test_committed import SHARD, chunks, vectors, write_output

FIRST, SECOND = f"parts/{SHARD}/0-4.parquet", f"parts/{SHARD}/4-2.parquet"
NEXT = f"parts/{SHARD}/0-4.1.parquet"
FORGOTTEN = "the row was forgotten, as somebody asked"


def forgotten(output: Location, folder: Path, ids: object, run: str = "run2") -> Forgotten:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": ids}), folder / "ids.parquet")
    with hold(output, run, print) as lease:
        return forget(output, str(folder / "ids.parquet"), lease, run)


def ids_of(output: Location) -> list[int]:
    """As readers of the manifest find them; each part is what the manifest says it is."""
    found = CommittedOutput.open(output.uri, output.storage)
    return [value for part in found.parts[SHARD] for value in found.read(part)[0]["id"].to_pylist()]


def test_rows_leave_the_parts_that_hold_them_and_no_byte_of_those_stays(output: Location, tmp_path: Path) -> None:
    write_output(output, vectors, max_rows=4, dead={1})
    untouched = output.read(SECOND)
    done = forgotten(output, tmp_path / "ids", [102, 999, 102, 103])
    assert (done.num_ids, done.num_rows, done.num_parts, done.missing.to_pylist()) == (3, 2, 1, [999])
    assert (done.num_parts_read, done.num_rows_read, done.num_left) == (2, 3, 0)
    assert [entry.key for entry in output.list("parts/")] == [NEXT, SECOND]
    assert [entry.key for entry in output.list("_manta/dead_letters/")] == [
        f"_manta/dead_letters/{SHARD}/0-4.1.parquet"
    ]
    assert ids_of(output) == [100, 104, 105]
    assert output.read(SECOND) == untouched
    letters = read_dead_letters(output, [NEXT])
    assert [(letter["row"], letter["reason"]) for letter in letters.to_pylist()] == [
        (1, "the text is null"), (2, FORGOTTEN), (3, FORGOTTEN),
    ]  # fmt: skip
    first, _ = list_parts(output)
    assert read_counts(output, [first]) == {NEXT: (4, 1, 3)}
    assert read_facts(output, first, ["shard"]) == ["a.parquet"]


def test_the_manifest_tells_which_part_came_in_which_ones_place(output: Location, tmp_path: Path) -> None:
    write_output(output, vectors, max_rows=4)
    forgotten(output, tmp_path / "ids", [100])
    forgotten(output, tmp_path / "ids", [101], run="run3")
    manifest = read_manifest(output)
    for run, came, went in (("run2", NEXT, FIRST), ("run3", f"parts/{SHARD}/0-4.2.parquet", NEXT)):
        added, removed = manifest.changes(run)
        assert (added["part"].to_pylist(), removed["part"].to_pylist()) == ([came], [went])
    assert added["num_rows"].to_pylist() == [2]
    assert added["num_dead_letters"].to_pylist() == [2]
    (shard,) = manifest.shards().values()
    assert (shard.name, shard.num_rows) == ("a.parquet", 6)


def test_all_rows_of_an_output_may_go(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "output"))
    write_output(output, vectors, max_rows=4)
    done = forgotten(output, tmp_path / "ids", [100, 101, 102, 103, 104, 105])
    assert (done.num_rows, done.num_rows_read, ids_of(output)) == (6, 0, [])
    assert read_manifest(output).shards()[SHARD].num_rows == 6


def test_all_chunks_of_a_document_go(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "output"))
    write_output(output, chunks, max_rows=6, dead={1})
    assert forgotten(output, tmp_path / "ids", [103]).num_rows == 2
    assert ids_of(output) == [100, 102, 104, 105, 105]


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.store import forgetting
from pipelines.store.location import Location, locate
from tests.store.test_forgetting import forgotten

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

moment, folder = sys.argv[1:]
if moment == "before":
    forgetting.commit = killed
else:
    commit = forgetting.commit
    forgetting.commit = lambda *values: (commit(*values), killed())
forgotten(locate(f"{folder}/output"), Path(folder, "ids"), [102, 105])
"""


@pytest.mark.parametrize(
    ("moment", "between"), [("before", [100, 101, 102, 103, 104, 105]), ("after", [100, 101, 103, 104])]
)
def test_killed_it_leaves_the_old_or_the_new_and_the_same_command_goes_on(
    tmp_path: Path, moment: str, between: list[int]
) -> None:
    output = locate(str(tmp_path / "output"))
    write_output(output, vectors, max_rows=4)
    done = subprocess.run([sys.executable, "-c", KILLED, moment, str(tmp_path)], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(list_parts(output))) == 4  # old and new ones
    assert ids_of(output) == between
    again = forgotten(output, tmp_path / "ids", [102, 105], run="run3")
    assert (again.num_rows, again.num_left) == (len(between) - 4, 0)
    assert ids_of(output) == [100, 101, 103, 104]
    assert [part.edition for part in list_parts(output)] == [1, 1]


def test_what_cannot_be_forgotten_is_refused_and_nothing_touched(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "output"))
    with pytest.raises(SpecError, match="holds no committed output"):
        forgotten(output, tmp_path / "ids", [1])
    write_output(output, vectors, max_rows=4)
    with pytest.raises(SpecError, match="ids to forget are of type string, and those of the output int64: cast them"):
        forgotten(output, tmp_path / "ids", ["a"])
    header = SliceHeader(shard="b.parquet", shard_id="00000000000000bb", first_row=0, num_documents=1)
    publish(output, header, pa.table({"id": [7]}), {})  # of a run that did not come to its commit
    with pytest.raises(SpecError, match=r"1 parts of .* \(such as parts/0+bb/0-1\.parquet\) are not as its"):
        forgotten(output, tmp_path / "ids", [100])
    assert ids_of(output) == [100, 101, 102, 103, 104, 105]


def test_ids_are_read_from_the_column_of_their_name_or_the_only_one(tmp_path: Path) -> None:
    file = tmp_path / "ids.parquet"
    pq.write_table(pa.table({"why": ["x", "y"], "id": [2, 1]}), file)
    assert read_ids(str(file), "id").to_pylist() == [2, 1]
    with pytest.raises(SpecError, match="has no column 'key', which the output's ids are in"):
        read_ids(str(file), "key")
    pq.write_table(pa.table({"key": [2, None]}), file)
    with pytest.raises(SpecError, match="has 1 ids that are null"):
        read_ids(str(file), "id")
    file.write_text("1\n2\n")
    with pytest.raises(SpecError, match="is no Parquet file: write the ids"):
        read_ids(str(file), "id")
    with pytest.raises(SpecError, match="is not there: name a Parquet file of ids"):
        read_ids(str(tmp_path / "x"), "id")
