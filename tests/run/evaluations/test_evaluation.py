from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations import evaluation
from pipelines.run.evaluations.evaluation import evaluate_model
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.means import Means
from pipelines.spec import EmbedSpec
from tests.run.evaluations.test_retrieval import put
from tests.run.evaluations.test_similarity import embed
from tests.tiny import save_model, sentence, write_shard

NO_RAY = Means(begin=lambda run, **pools: pytest.fail("nothing needs Ray"), join=lambda: None)


def test_pairs_and_retrieval_are_one_report_and_queries_have_their_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs: list[EmbedSpec] = []

    def embed_here(order: Any, spec: EmbedSpec, *_: Any) -> Any:  # as without Ray
        specs.append(spec)
        return embed(order, spec)

    monkeypatch.setattr(evaluation, "embed", embed_here)
    model = save_model(tmp_path / "model", prompts={"query": "the ", "passage": "a "})
    write_shard(tmp_path / "data/x.parquet", 4, other=["the king", "a ship", "wind", "war"], score=[1, 2, 3, 4])
    order = EvaluationOrder(
        model=str(model), output=str(tmp_path / "out"), data=str(tmp_path / "data"),
        queries=put(tmp_path / "q.parquet", id=["a"], text=[sentence(3)]), documents=str(tmp_path / "data"),
        qrels=put(tmp_path / "r.parquet", query_id=["a"], document_id=[3], relevance=[1]),
    )  # fmt: skip
    report = evaluate_model(order, EvaluationSpec(text_pair="other"), NO_RAY)
    assert [found.task for found in report.evaluations] == ["similarity", "retrieval"]
    assert [spec.prompt for spec in specs] == ["auto", "auto", "the ", "auto"]
    assert report.exit_code == 0
    told = json.loads((tmp_path / "out/metrics.json").read_text())
    assert told["model_hash"] == report.model_hash
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"scores.png", "retrieval.png"}
