from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.nodes import Head
from tests.faults.runs import Corpus, Job, check_same, check_whole, ended, num_parts, until


@pytest.mark.timeout(600)
def test_workers_of_every_stage_killed_in_midstream_lose_and_double_nothing(
    job: Job, head: Head, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    output, killed = tmp_path / "vectors", list[int]()
    run = job.start(output)

    def kill(stage: str) -> bool:
        """Kill a worker of this stage, once there is one that is born and has not been killed before."""
        for worker in head.workers(stage):
            if worker.pid not in killed and "__init__" not in worker.cmdline()[0]:
                worker.kill()
                killed.append(worker.pid)
                return True
        return False

    until(lambda: kill("ReadSliceSource"), run)
    until(lambda: kill("ChunkTokenizer"), run)
    until(lambda: bool(head.workers("MapBatches(ChunkTokenizer)).submit")), run)
    kill("ReadSliceSource")  # again where it still reads: a slow machine, or one that gave some slices only
    for stage, parts in (("ChunkEncoder", 5), ("PartWriter", 24)):
        until(lambda parts=parts: num_parts(output) >= parts, run)
        until(lambda stage=stage: kill(stage), run)
    assert len(killed) >= 4
    last = ended(run)
    assert last.code == 0, last.err
    check_whole(output, corpus.ids)
    check_same(output, undisturbed)
