from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.run.evaluations.evaluation_order import EvaluationOrder


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, "no model is named"),
        ({"output": ""}, "no output is named"),
        ({"data": ""}, "no data are named"),
        ({"queries": "q"}, "retrieval needs --queries, --documents and --qrels, and was given queries"),
    ],
)
def test_what_is_missing_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        EvaluationOrder(**{"model": "m", "output": "o", "data": "d"} | fields)


def test_each_run_over_texts_has_a_folder_of_its_own() -> None:
    order = EvaluationOrder(model="m", output="s3://b/o/", queries=["q"], documents="d", qrels="r", limit=7)
    run = order.of_texts("queries", "_queries")
    assert (run.output, run.documents, run.limit, run.job) == ("s3://b/o/_queries", ["q"], 7, "evaluate")
    assert run.source == "--queries"
    assert order.has_retrieval
