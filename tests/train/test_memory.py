from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = """
import resource
import torch
from pipelines.train.memory import keep_freed_memory

torch.set_num_threads(1)
kept = {keeps} and keep_freed_memory()
for turn in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (40, 60):
        torch.ones(size * 2**20 // 4)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def told(keeps: bool) -> tuple[str, int]:
    """Whether a new process keeps its memory, and how many pages it is given for tensors of 100 MB the eighth time."""
    code = FAULTS.format(keeps=keeps)
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    kept, faults = found.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory alone is kept")
def test_what_is_freed_is_used_again() -> None:
    """100 MB are 25,600 pages of 4 KB; where pages are larger, there are fewer."""
    kept, faults = told(True)
    if kept == "False":
        pytest.skip("the C library is not glibc")
    _, others = told(False)
    assert faults < 0.1 * others
