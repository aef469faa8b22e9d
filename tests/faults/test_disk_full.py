"""An output on a disk that runs full: one line, exit code 1, and the same request goes on once there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.nodes import Head
from tests.faults.runs import Corpus, Job, check_same, check_whole, ended, num_parts, until, without_ray

SMALL, LARGE = 60 * 4096, 64 * 2**20


@contextmanager
def small_disk(folder: Path, size: int = SMALL) -> Iterator[bool]:
    """A file system of its own with room for so many bytes, some parts; whether this user may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.timeout(600)
def test_a_full_disk_stops_the_run_in_one_line_and_loses_nothing(
    job: Job, head: Head, tiny_model: Path, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    """Where this user may not mount, the writer may write no file longer than 100 bytes instead."""
    folder = tmp_path / "disk"
    folder.mkdir()
    output = folder / "vectors"
    with small_disk(folder) as mounted:
        run = job.start(output)
        if not mounted:
            until(lambda: num_parts(output) > 5, run)
            for writer in head.workers("MapBatches(PartWriter)"):
                psutil.Process(writer.pid).rlimit(resource.RLIMIT_FSIZE, (100, 100))
        stopped = ended(run)
        assert stopped.code == 1, stopped.err
        assert stopped.err.splitlines()[-1].startswith("StoreError: ")
        assert ("the disk is full: make room" if mounted else "larger than allowed") in stopped.err.splitlines()[-1]
        assert "Traceback" not in stopped.err
        assert 0 < num_parts(output) < num_parts(undisturbed)
        if mounted:
            subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True)
        assert without_ray(tiny_model, corpus.folder, output) == 0
        check_whole(output, corpus.ids)
        check_same(output, undisturbed)
