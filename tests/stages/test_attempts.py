"""Marks of attempts: who died where, told by what real processes that were really killed leave behind."""

from __future__ import annotations

import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray.data

from pipelines.model.quantize import Quantizer
from pipelines.run.local import Encoder
from pipelines.schema import DeadLetter, SliceHeader, fold, unfold
from pipelines.spec import EmbedSpec, EncodePool
from pipelines.stages.actors import ActorPool
from pipelines.stages.attempts import KEPT_SECONDS, Attempts
from pipelines.stages.documents import TEXT
from pipelines.stages.encode import ChunkEncoder, encode
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, Outcome
from pipelines.stages.tokenize import ChunkTokenizer, tokenize
from tests.children import as_nobody, die, kill_myself
from tests.tiny import sentence

SLICE = SliceHeader(shard="a.parquet", shard_id="0123456789abcdef", first_row=1, num_documents=9)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the marks are; their folder for temporary files is the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"manta-{os.getuid()}/attempts"


def marks(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("*/*"))


def deaths(attempts: Attempts, stage: str = "encode", header: SliceHeader = SLICE) -> int:
    """Deaths so far; they are not forgiven by having been asked for."""
    with suppress(LookupError), attempts.begin(stage, header) as attempt:
        found = attempt.num_deaths
        raise LookupError
    return found


def test_an_attempt_is_marked_for_as_long_as_it_lasts(place: Path) -> None:
    with Attempts().begin("encode", SLICE) as attempt:
        (mark,) = marks(place)
        assert attempt.num_deaths == 0
        attempt.note(5)
        attempt.note(17)
        assert [path.name for path in marks(place)] == [f"{mark.name}.17"]
    assert marks(place) == []


def test_deaths_count_for_their_slice_their_stage_and_their_run(place: Path) -> None:
    attempts = Attempts()
    die(attempts, "encode", SLICE)
    die(attempts, "encode", SLICE, 3, 5)
    die(attempts, "encode", SLICE, 3)
    die(attempts, "encode", SLICE, 1, 2, 3)
    with attempts.begin("encode", SLICE) as attempt:
        assert attempt.num_deaths == 4
        assert attempt.suspects == {5: 1, 3: 2}
    tenth = SliceHeader(shard="a.parquet", shard_id=SLICE.shard_id, first_row=10, num_documents=9)
    die(attempts, "encode", tenth)
    die(attempts, "tokenize", SLICE)
    assert deaths(attempts) == 0
    assert deaths(attempts, "encode", tenth) == deaths(attempts, "tokenize") == 1
    assert deaths(Attempts(), "tokenize") == 0


def test_what_is_done_is_forgiven_and_what_failed_is_not(place: Path) -> None:
    attempts = Attempts()
    die(attempts, "encode", SLICE)
    with pytest.raises(ValueError, match="failed"), attempts.begin("encode", SLICE):
        raise ValueError("failed")
    assert len(marks(place)) == 1
    with attempts.begin("encode", SLICE) as attempt:
        assert attempt.num_deaths == 1
    assert marks(place) == []


LIVE = """
import sys, tempfile
from pipelines.schema import SliceHeader
from pipelines.stages.attempts import Attempts
tempfile.tempdir = sys.argv[1]
header = SliceHeader(shard="a.parquet", shard_id="0123456789abcdef", first_row=1, num_documents=9)
with Attempts("run").begin("encode", header):
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is at work on the slice."""
    command = [sys.executable, "-c", LIVE, str(place.parent.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        yield child
        child.kill()


def test_an_attempt_that_lasts_is_no_death_until_its_process_dies(other: subprocess.Popen[str]) -> None:
    assert deaths(Attempts("run")) == 0
    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, but nobody has asked for it yet
    assert deaths(Attempts("run")) == 1
    other.wait()
    assert deaths(Attempts("run")) == 1


def test_the_number_of_a_process_is_not_the_process(place: Path) -> None:
    with Attempts("run").begin("encode", SLICE):
        (mark,) = marks(place)
        told = json.loads(mark.read_text())
    mark.write_text(json.dumps(told | {"started": told["started"] - 60}))  # it bears the number of one that was before
    assert deaths(Attempts("run")) == 1


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"pid": 1}', "\x00"])
def test_a_mark_that_cannot_be_read_tells_of_no_death(place: Path, told: str) -> None:
    with Attempts("run").begin("encode", SLICE):
        (mark,) = marks(place)
    mark.write_text(told)
    assert deaths(Attempts("run")) == 0


def test_a_mark_from_elsewhere_tells_of_no_death(place: Path) -> None:
    with Attempts("run").begin("encode", SLICE):
        (mark,) = marks(place)
        told = json.loads(mark.read_text())
    mark.write_text(json.dumps(told | {"pid_namespace": "pid:[1]", "pid": 2**22 + 1}))  # a container that shares a disk
    assert deaths(Attempts("run")) == 0


def test_the_marks_are_their_users_own(place: Path) -> None:
    with Attempts().begin("encode", SLICE):
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["link", "file", "gone"])
def test_where_no_mark_can_be_left_the_work_goes_on(place: Path, tmp_path: Path, trap: str) -> None:
    if trap == "link":  # laid by somebody who would like to have files written there
        (tmp_path / "elsewhere").mkdir()
        place.parent.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        place.parent.touch()
    done = False
    with Attempts().begin("encode", SLICE) as attempt:
        if trap == "gone":
            for mark in marks(place):
                mark.unlink()
        attempt.note(3)
        attempt.note(4)
        done = attempt.num_deaths == 0
    assert done
    assert trap != "link" or list((tmp_path / "elsewhere").iterdir()) == []


def test_a_temporary_folder_that_may_not_be_written_breaks_nothing() -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)

    def work() -> None:
        tempfile.tempdir = str(folder)
        with Attempts().begin("encode", SLICE) as attempt:
            attempt.note(3)
        assert list(folder.iterdir()) == []

    as_nobody(work)
    folder.rmdir()


def test_a_row_that_cannot_be_noted_is_not_laid_at_the_door_of_the_one_before(place: Path) -> None:
    attempts = Attempts()
    die(attempts, "encode", SLICE, 3, 10**300)  # too long for the name of a file
    assert deaths(attempts) == 0


def test_old_marks_are_swept_by_the_next_run(place: Path) -> None:
    old, young = Attempts(), Attempts()
    for attempts in (old, young):
        die(attempts, "encode", SLICE)
    (of_old,) = (place / old.run).iterdir()
    days_ago = time.time() - KEPT_SECONDS - 60
    for path in (of_old, of_old.parent):
        os.utime(path, (days_ago, days_ago))
    deaths(young)
    assert of_old.exists()
    with Attempts().begin("encode", SLICE):
        assert not (place / old.run).exists()
        assert deaths(young) == 1


def test_a_run_stays_the_same_in_other_processes() -> None:
    attempts = Attempts()
    assert pickle.loads(pickle.dumps(attempts)) == attempts
    assert attempts != Attempts()


def dies_at(row: int, table: pa.Table) -> None:
    if row in table[ROW].to_pylist():
        kill_myself()


class FragileTokenizer(ChunkTokenizer):
    """A tokenizer that takes its process along at row 6."""

    def _tokenize(self, documents: pa.Table) -> Outcome:
        dies_at(6, documents)
        return super()._tokenize(documents)


class FragileEncoder(ChunkEncoder):
    """An encoder that takes its process along at row 9."""

    def _encode(self, chunks: pa.Table) -> Outcome:
        dies_at(9, chunks)
        return super()._encode(chunks)


def slice_of(first_row: int) -> pa.Table:
    rows = range(first_row, first_row + 4)
    header = SliceHeader(shard="a", shard_id="b", first_row=first_row, num_documents=4)
    return fold(pa.table({ROW: rows, TEXT: [sentence(row) for row in rows]}), header)


def test_on_ray_a_document_that_kills_its_process_costs_its_row_alone(
    tiny_model: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model), precision="float32"))
    monkeypatch.setattr("pipelines.stages.tokenize.ChunkTokenizer", FragileTokenizer)
    monkeypatch.setattr("pipelines.stages.encode.ChunkEncoder", FragileEncoder)
    pool = ActorPool(num_cpus=0.5)
    chunks = tokenize(ray.data.from_arrow([slice_of(first) for first in (0, 4, 8)]), recipe, pool)
    floats = Quantizer("float32")
    vectors = encode(chunks, recipe, EncodePool(device="cpu"), pool, num_threads=1, quantizer=floats)
    done = [unfold(batch) for batch in vectors.iter_batches(batch_size=1, batch_format="pyarrow")]
    assert sorted(header.first_row for _, header in done) == [0, 4, 8]
    assert {letter for _, header in done for letter in header.dead_letters} == {
        DeadLetter(row=6, stage="tokenize", reason="the process that worked on it died, 3 times"),
        DeadLetter(row=9, stage="encode", reason="the process that worked on it died, 3 times"),
    }
    found = {line[ROW]: line["embedding"] for table, _ in done for line in table.to_pylist()}
    rows = sorted(found)
    assert rows == [0, 1, 2, 3, 4, 5, 7, 8, 10, 11]
    expected = Encoder(recipe.spec).encode([sentence(row) for row in rows])
    np.testing.assert_allclose([found[row] for row in rows], expected, atol=1e-5)
