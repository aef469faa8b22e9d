"""The user's code on a cluster: it comes to a node where nothing of it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.store.user_code import read_user_code
from tests.faults.nodes import TwoNodes
from tests.faults.runs import Corpus, Job, check_whole

CODE = """
from transformers import BertModel

class Mine(BertModel):
    pass
"""


@pytest.mark.timeout(600)
def test_it_is_laid_on_the_node_that_encodes(job: Job, two_nodes: TwoNodes, corpus: Corpus, tmp_path: Path) -> None:
    """The driver's cache is not the node's, as on two machines."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my_models.py").write_text(CODE)
    there = replace(job, environment=two_nodes.environment).under(MANTA_CACHE=str(tmp_path / "cache"))
    flags = ("--spec.model_class", "my_models.Mine", "--user_code", str(tmp_path / "code"))
    ended = there.run(tmp_path / "vectors", *flags)
    assert ended.code == 0, ended.err
    check_whole(tmp_path / "vectors", corpus.ids)
    laid = f"user_code/{read_user_code(str(tmp_path / 'code')).hash}/my_models.py"
    assert (Path(two_nodes.environment["HOME"]) / ".cache/manta" / laid).read_text() == CODE
    assert (tmp_path / "cache" / laid).read_text() == CODE
