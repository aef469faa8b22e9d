"""What leaves on request, end to end: after runs of a real, tiny model, and before more of them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import entry
from jobs.runs import runs
from pipelines.errors import SpecError
from pipelines.run.upkeep.retention import clear_away, forget_ids
from pipelines.spec import EmbedSpec, Slicing
from pipelines.store.lease import hold
from pipelines.store.location import locate
from pipelines.store.manifest import read_manifest
from tests.sources import ROOT
from tests.tiny import embed_in_turn, listing, rows, write_shard

FOUR = Slicing(max_rows=4)


@pytest.fixture
def embedded(tiny_model: Path, tmp_path: Path) -> tuple[EmbedSpec, Path]:
    """Two shards of 10 rows, one of them without a text, embedded in parts of 4."""
    spec = EmbedSpec(model=str(tiny_model), precision="float32")
    write_shard(tmp_path / "corpus/a.parquet", 10)
    texts = [None if row == 1 else "the state of the union" for row in range(10)]
    write_shard(tmp_path / "corpus/b.parquet", 10, 100, text=texts)
    embed_in_turn(spec, tmp_path / "corpus", tmp_path / "vectors", slicing=FOUR)
    return spec, tmp_path


def forget(folder: Path, *ids: int) -> int:
    pq.write_table(pa.table({"id": ids}), folder / "ids.parquet")
    return forget_ids(locate(str(folder / "vectors")), str(folder / "ids.parquet"), yes=True)


def ids_of(folder: Path) -> list[int]:
    return sorted(row["id"] for row in rows(folder / "vectors"))


def test_no_later_run_brings_a_forgotten_row_back(
    embedded: tuple[EmbedSpec, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    spec, folder = embedded
    vectors = {row["id"]: row["embedding"] for row in rows(folder / "vectors")}
    gone = [2, 3, 100]
    left = [row for row in (*range(10), *range(100, 110)) if row not in (*gone, 101)]
    assert forget(folder, *gone, 101, 7777) == 0  # 101 is a dead letter
    assert capsys.readouterr().out == (
        "forgotten: 3 rows of 3 ids, in 2 parts\n"
        "proved: 6 parts of 16 rows read again, 0 have them\n"
        "2 ids were not found:\n  101\n  7777\n"
    )
    assert ids_of(folder) == left
    before = listing(folder)

    def again(**more: Any) -> Any:
        return embed_in_turn(spec, folder / "corpus", folder / "vectors", slicing=FOUR, **more)

    report = again()
    assert (report.slices, report.corpus.done, listing(folder)) == (0, 2, before)
    assert again(retry_dead_letters=True).slices == 0  # the only other one shares its part with a forgotten row
    write_shard(folder / "corpus/c.parquet", 2, 200)
    report = again()
    assert (report.rows, report.corpus.parts_added, report.corpus.parts_removed) == (2, 1, 0)
    assert ids_of(folder) == [*left, 200, 201]
    assert all(row["embedding"] == vectors[row["id"]] for row in rows(folder / "vectors") if row["id"] < 200)
    assert entry.run(runs, [str(folder / "vectors")]) == 0
    told = capsys.readouterr().out
    assert "3 runs of" in told
    assert re.search(r"forget +0 +-3 ", told)
    assert "there now: 18 rows in 7 parts, 4 dead letters" in told
    write_shard(folder / "corpus/a.parquet", 6)  # another version of the shard is made as a whole
    assert again().corpus.changed == 1
    assert ids_of(folder) == [*range(6), *left[8:], 200, 201]


def test_ids_that_are_not_there_are_no_failure_and_the_proof_stays(
    embedded: tuple[EmbedSpec, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = embedded
    runs_before, kept = set((folder / "vectors/_manta/runs").iterdir()), ids_of(folder)
    assert forget(folder, *range(7000, 7030)) == 0
    told = capsys.readouterr().out
    assert told.startswith(
        "forgotten: 0 rows of 0 ids, in 0 parts\nproved: 6 parts of 19 rows read again, 0 have them\n"
    )
    assert "30 ids were not found:\n  7000\n" in told
    assert "  and 10 more\n" in told
    (path,) = set((folder / "vectors/_manta/runs").iterdir()) - runs_before
    proof = json.loads(path.read_text())
    numbers = {name: proof[name] for name in ("rows", "ids", "ids_not_found", "parts_read", "rows_read", "rows_left")}
    assert list(numbers.values()) == [0, 30, 30, 6, 19, 0]
    assert "7000" not in path.read_text()
    assert ids_of(folder) == kept


def test_what_a_killed_command_left_goes_with_the_next_run(embedded: tuple[EmbedSpec, Path]) -> None:
    spec, folder = embedded
    kept = ids_of(folder)
    output = locate(str(folder / "vectors"))
    (first, *_) = read_manifest(output).live_parts()["part"].to_pylist()
    for edition in ("1", "2"):  # of forgettings that did not come to their commit
        output.put(first.replace(".parquet", f".{edition}.parquet"), output.read(first))
    report = embed_in_turn(spec, folder / "corpus", folder / "vectors", slicing=FOUR)
    assert (report.slices, ids_of(folder)) == (0, kept)


def test_while_a_run_holds_the_output_nothing_leaves(
    embedded: tuple[EmbedSpec, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = embedded
    output = locate(str(folder / "vectors"))
    output.put("parts/00000000000000ff/0-4.parquet", b"x")
    (folder / "ids").mkdir()
    pq.write_table(pa.table({"id": [1]}), folder / "ids/1.parquet")
    before = listing(folder)
    with hold(output, "run9", print):
        for flags in (["--vacuum", "--min_age_hours", "0"], ["--forget", str(folder / "ids/1.parquet")]):
            assert entry.run(runs, [output.uri, *flags, "--yes"]) == 4
            assert "LeaseError: " in capsys.readouterr().err
    assert listing(folder) == before


def test_litter_is_shown_and_goes(embedded: tuple[EmbedSpec, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, folder = embedded
    output = locate(str(folder / "vectors"))
    assert clear_away(output, yes=True, min_age_hours=0) == 0
    assert capsys.readouterr().out == f"{output}: nothing to remove\n"
    part = output.put("parts/00000000000000ff/0-4.parquet", b"x" * 2000)
    assert clear_away(output, yes=True, min_age_hours=24) == 0
    assert "1 more are younger than 24 hours, and stay" in capsys.readouterr().out
    with pytest.raises(SpecError, match=r"no terminal to ask: Remove 1 files of 2\.0 kB .* Add --yes"):
        clear_away(output, yes=False, min_age_hours=0)
    assert output.stat(part.key)
    assert clear_away(output, yes=True, min_age_hours=0) == 0
    assert "  parts/00000000000000ff/0-4.parquet (2.0 kB, 20" in capsys.readouterr().out
    assert output.stat(part.key) is None


@pytest.mark.parametrize(("answer", "remains"), [("y", False), ("", True)])
def test_on_a_terminal_it_asks(embedded: tuple[EmbedSpec, Path], answer: str, remains: bool) -> None:
    _, folder = embedded
    output = locate(str(folder / "vectors"))
    part = output.put("parts/00000000000000ff/0-4.parquet", b"x")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "jobs.runs", output.uri, "--vacuum", "--min_age_hours", "0"]
    with subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as command:
        os.close(theirs)
        told = b""
        while b"[y/N]" not in told:
            told += os.read(ours, 1000)
        os.write(ours, f"{answer}\n".encode())
        out, _ = command.communicate()
    os.close(ours)
    assert command.returncode == 0
    assert part.key.encode() in out
    assert (b"nothing was removed" in out, output.stat(part.key) is not None) == (remains, remains)
