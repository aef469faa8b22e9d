from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec
from tests.faults.nodes import descendants, environment_in
from tests.faults.runs import Job, ended


@pytest.mark.timeout(300)
def test_one_query_is_embedded_without_ray(tiny_model: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    try:
        job = Job(flags=("--spec.model", str(tiny_model)), environment=environment_in(folder))
        run = job.start("", "--text", "the king of the river")
        below = set()
        while run.poll() is None:
            below |= {process.pid for process in descendants(run.pid)}
        query = ended(run)
        assert (query.code, below) == (0, set()), query.err
        assert not (folder / "ray").exists()  # where Ray keeps its sessions
    finally:
        shutil.rmtree(folder)
    vector = np.array(json.loads(query.out))
    ours = Encoder(EmbedSpec(model=str(tiny_model)))
    np.testing.assert_allclose(vector, ours.encode_query(["the king of the river"])[0])
