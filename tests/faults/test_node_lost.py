from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.nodes import TwoNodes
from tests.faults.runs import Corpus, Job, check_same, check_whole, ended, num_parts, until


@pytest.mark.timeout(600)
def test_a_node_lost_in_midstream_and_replaced_loses_and_doubles_nothing(
    job: Job, two_nodes: TwoNodes, corpus: Corpus, undisturbed: Path, tmp_path: Path
) -> None:
    """All actors are on the lost node. Local paths are accepted: both nodes see the same disk."""
    output = tmp_path / "vectors"
    run = replace(job, environment=two_nodes.environment).start(output)
    until(lambda: num_parts(output) > 5, run)
    encoders = {worker.pid for worker in two_nodes.workers("ChunkEncoder")}
    assert len(encoders) == 1
    two_nodes.replace_node()
    until(lambda: bool({worker.pid for worker in two_nodes.workers("ChunkEncoder")} - encoders), run, 0.2)
    last = ended(run)
    assert last.code == 0, last.err
    check_whole(output, corpus.ids)
    check_same(output, undisturbed)
