from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.runs import Corpus, Job, check_same, check_whole, ended, num_parts, until

WAITS = "waiting up to"
KILLS_AT_START = 2
KILLS_IN_MIDSTREAM = 4


@pytest.mark.timeout(600)
def test_a_driver_killed_again_and_again_leaves_the_output_of_an_undisturbed_run(
    job: Job, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    """Killed while it plans, while Ray's actors start, at points by chance all over the stream, around the commit."""
    rng, output = random.Random(20), tmp_path / "vectors"
    moments = [
        ((output / "_manta/spec.json").exists, 0.02),
        ((output / "_manta/lease.json").exists, 0.02),
        *(((output / "_manta/lease.json").exists, 3.0) for _ in range(KILLS_AT_START)),
        *((more_than(output, parts), 0.05) for parts in spread(rng, num_parts(undisturbed))),
        (more_than(output, num_parts(undisturbed) - 1), 0.0),
        ((output / "_manta/manifest.parquet").exists, 0.0),
    ]
    assert len(moments) >= 10
    for reached, most_seconds in moments:
        run = job.start(output)
        until(reached, run)
        time.sleep(rng.uniform(0, most_seconds))
        run.kill()
        assert WAITS not in ended(run).err  # the lease of the dead process before it is taken over at once
    last = job.run(output)
    assert (last.code, WAITS in last.err) == (0, False), last.err
    check_whole(output, corpus.ids)
    check_same(output, undisturbed)


def spread(rng: random.Random, most: int) -> list[int]:
    """Numbers of parts after which to kill: one by chance in each stretch of the run."""
    return [int(most * (number + rng.random()) / KILLS_IN_MIDSTREAM) for number in range(KILLS_IN_MIDSTREAM)]


def more_than(output: Path, parts: int) -> Callable[[], bool]:
    """Whether so many parts are there, and one more."""
    return lambda: num_parts(output) > parts
