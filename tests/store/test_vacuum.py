"""What may go of an output, on a disk and on S3, and what must not."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import SpecError
from pipelines.schema import DeadLetter, SliceHeader
from pipelines.store.lease import KEY as LEASE
from pipelines.store.lease import hold
from pipelines.store.location import Location, locate
from pipelines.store.parts import dead_letters_key, publish
from pipelines.store.vacuum import find_litter, remove_litter
from tests.sources import ROOT
from tests.store.test_committed import SHARD, vectors, write_output

OTHER = "00000000000000bb"
DAY = 24 * 3600


def keys(output: Location, hours: float = 24.0, later: float = 0.0) -> tuple[list[str], int]:
    found = find_litter(output, time.time() + later, hours)
    return [entry.key for entry in found.files], found.num_young


def leave(output: Location) -> str:
    """A part, with a dead letter, of a run that did not come to its commit."""
    letter = DeadLetter(row=1, stage="read", reason="the text is null")
    header = SliceHeader(shard="b", shard_id=OTHER, first_row=0, num_documents=2, dead_letters=(letter,))
    return publish(output, header, pa.table({"id": [7]}), {}).key


def test_only_what_no_manifest_names_goes_and_only_once_it_is_old(output: Location) -> None:
    (kept, _) = write_output(output, vectors, max_rows=4, dead={1})
    left = leave(output)
    output.put(f"_manta/digests/{OTHER}.npy", b"1")
    output.put(f"_manta/digests/{SHARD}.npy", b"1")
    output.put(f"parts/{OTHER}/_SUCCESS", b"")  # another's: none of ours
    litter = [dead_letters_key(left), f"_manta/digests/{OTHER}.npy", left]
    assert keys(output) == ([], 3)
    assert keys(output, later=DAY + 60) == (litter, 0)
    shown = find_litter(output, time.time(), 0).files
    with hold(output, "run2", print):
        gone = remove_litter(output, [shown[0], replace(shown[2], version="another")], time.time(), 0)
    assert [entry.key for entry in gone] == litter[:1]  # what changed since it was shown stays
    with hold(output, "run3", print):
        remove_litter(output, shown, time.time(), 0)
    assert keys(output, 0) == ([], 0)
    there = {entry.key for entry in output.list()}
    assert {kept.key, dead_letters_key(kept.key), f"_manta/digests/{SHARD}.npy", f"parts/{OTHER}/_SUCCESS"} <= there


def test_without_a_manifest_each_part_may_be_of_use(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    leave(output)
    with pytest.raises(SpecError, match="holds no committed output, so it is unknown which parts are of use"):
        find_litter(output, time.time())
    with pytest.raises(SpecError, match="min_age_hours is -1: write 0 or more"):
        find_litter(output, time.time(), -1)


def test_the_lease_of_a_dead_process_is_told(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    write_output(output, vectors, max_rows=4)
    assert find_litter(output, time.time()).lease is None  # released
    script = (
        "import os, sys; from pipelines.store.lease import hold; from pipelines.store.location import locate\n"
        "hold(locate(sys.argv[1]), 'run9', print); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True)
    found = find_litter(output, time.time()).lease
    assert found is not None
    assert found.run == "run9"
    with hold(output, "run10", print):
        assert find_litter(output, time.time()).lease is None  # ours is alive
    elsewhere = replace(found, owner=replace(found.owner, host="elsewhere"))
    output.put(LEASE, elsewhere.to_json())
    assert find_litter(output, time.time()).lease == elsewhere
