from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation
from pipelines.run.evaluations.retrieval import evaluate_retrieval, read_judgments
from pipelines.spec import EmbedSpec
from tests.run.evaluations.test_similarity import embed
from tests.tiny import sentence, write_shard


def put(path: Path, **columns: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


def evaluated(folder: Path, model: Path, judged: dict[str, list[Any]], **more: Any) -> Evaluation:
    """Queries 0 to 2 are the texts of documents 0 to 2 of ten."""
    write_shard(folder / "documents/x.parquet", 6)
    write_shard(folder / "documents/y.parquet", 4, first=6)
    put(folder / "queries/q.parquet", id=["0", "1", "2"], text=[sentence(n) for n in range(3)])
    order = EvaluationOrder(
        model=str(model), output=str(folder / "out"), queries=str(folder / "queries"),
        documents=str(folder / "documents"), qrels=put(folder / "qrels.parquet", **judged),
    )  # fmt: skip
    return evaluate_retrieval(order, EvaluationSpec(**more), EmbedSpec(model=str(model)), "", embed)


def test_a_text_finds_itself_first(tiny_model: Path, tmp_path: Path) -> None:
    judged = {"query_id": ["0", "1", "2"], "document_id": [0, 1, 2], "relevance": [1, 2, 1]}
    found = evaluated(tmp_path, tiny_model, judged)
    assert set(found.metrics.values()) == {1.0}
    assert list(found.metrics)[:3] == ["recall@1", "recall@10", "recall@100"]
    assert found.counts == {"queries": 3, "documents": 10, "relevant": 3}
    assert found.notes == ()
    assert found.pictures["retrieval.png"].startswith(b"\x89PNG")


def test_what_is_judged_and_not_there_is_said_and_not_found(tiny_model: Path, tmp_path: Path) -> None:
    judged = {"query_id": ["0", "0", "1", "x"], "document_id": [0, 77, 5, 1], "relevance": [1, 1, 0, 1]}
    found = evaluated(tmp_path, tiny_model, judged, ks=[10])
    assert found.counts == {"queries": 1, "documents": 10, "relevant": 2}  # 1 has nothing relevant
    assert found.metrics["recall@10"] == 0.5
    assert found.metrics["map"] == 0.5
    assert found.notes == (
        "1 judged queries are not among the queries",
        "1 relevant documents are not among the documents: not found",
    )


def test_judgments_need_their_columns(tmp_path: Path) -> None:
    place = put(tmp_path / "q.parquet", query_id=[1], document_id=[2], score=[0])
    with pytest.raises(SpecError, match=r"q.parquet has no column 'relevance' .*query_id, document_id, score"):
        read_judgments(place, EvaluationSpec())
    with pytest.raises(SpecError, match="none of the 1 judgments says that a document is relevant"):
        read_judgments(place, EvaluationSpec(relevance="score"))
    found = read_judgments(place, EvaluationSpec(relevance=""))
    assert (found.queries, found.documents, found.gain.tolist()) == (["1"], ["2"], [1.0])


def test_relevance_must_be_a_number(tmp_path: Path) -> None:
    place = put(tmp_path / "q.parquet", query_id=[1], document_id=[2], relevance=["much"])
    with pytest.raises(SpecError, match="relevance is 'relevance': that column is string"):
        read_judgments(place, EvaluationSpec())


def test_queries_that_nobody_judged_are_no_evaluation(tiny_model: Path, tmp_path: Path) -> None:
    judged = {"query_id": ["a"], "document_id": [0], "relevance": [1]}
    with pytest.raises(SpecError, match="none of the 1 queries that are judged is among the queries"):
        evaluated(tmp_path, tiny_model, judged)
