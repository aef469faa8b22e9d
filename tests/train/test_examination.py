from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.train.examination import Examination
from pipelines.train.ranks import Ranks
from tests.train.given_task import ground, rows, spec_for


def test_a_model_without_a_head_is_no_classifier(tiny_model: Path, tmp_path: Path) -> None:
    found = ground(tmp_path, spec_for(tiny_model), rows(16))
    examination = Examination(course=found.course, pool=found.pool, num_threads=1)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"lacks the weights of its .*head: name a model that was trained for"):
        examination.judge(Ranks())


def test_examples_are_judged_in_their_order(tiny_model: Path, tmp_path: Path) -> None:
    pairs = [{**row, "other": row["text"][::-1]} for row in rows(16)]
    spec = spec_for(tiny_model, task="embedding", text="text", text_pair="other", label="")
    found = ground(tmp_path, spec, pairs)
    judged = Examination(course=found.course, pool=found.pool, num_threads=1).judge(Ranks())  # type: ignore[arg-type]
    assert judged.told.number.tolist() == list(range(len(judged.told)))
    assert "mrr@10" in judged.evaluation.metrics
