from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.watch import Watched, role_of, watch

TAKES_MEMORY = """
import pathlib, subprocess, sys, time
pathlib.Path(sys.argv[1], "deep").mkdir()
pathlib.Path(sys.argv[1], "deep", "x.parquet").touch()
child = subprocess.Popen([sys.executable, "-c", "x = bytearray(b'x' * 60_000_000); import time; time.sleep(1.5)"])
child.wait()
"""


@pytest.mark.parametrize(
    ("title", "role"),
    [
        (["ray::IDLE"], "idle worker"),
        (["ray::MapWorker(MapBatches(ChunkEncoder)).submit()"], "ChunkEncoder"),
        (["ray::Write"], "Write"),
        (["ray::_StatsActor"], "_StatsActor"),
        (["/opt/ray/core/src/ray/raylet/raylet", "--a"], "raylet"),
        (["/usr/bin/python3", "-u", "/lib/ray/dashboard/agent.py", "--x"], "python3 agent.py"),
        ([], "idle worker"),
    ],
)
def test_roles_of_rays_processes(title: list[str], role: str) -> None:
    assert role_of(title) == role


def test_children_are_counted(tmp_path: Path) -> None:
    watched = watch([sys.executable, "-c", TAKES_MEMORY, str(tmp_path)], tmp_path, tmp_path / "log", 0.1)
    assert len(watched.private_bytes) == 2
    assert max(watched.private_bytes.values()) > 60e6
    assert watched.total_private_bytes > max(watched.private_bytes.values())
    assert 0 < watched.first_file_seconds <= watched.seconds
    assert "driver" in watched.by_role()


def test_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\n.*no such luck"):
        watch([sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"], tmp_path, tmp_path / "log", 0.05)


def test_peaks_are_grouped_by_role() -> None:
    watched = Watched(private_bytes={1: 10, 2: 30, 3: 20}, roles={1: "driver", 2: "Write", 3: "Write"})
    assert watched.by_role() == {"Write": [30, 20], "driver": [10]}
