from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec


def test_columns_are_lists_also_where_there_is_one() -> None:
    assert (EvaluationSpec().texts, EvaluationSpec().pairs) == (["text"], [])
    spec = EvaluationSpec(text=["title", "text"], text_pair="body")
    assert (spec.texts, spec.pairs) == (["title", "text"], ["body"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ks": []}, r"EvaluationSpec.ks is \[\]: write numbers of at least 1"),
        ({"ks": [10, 0]}, "ks is"),
        ({"ks": [5, 5]}, "each once"),
        ({"label": ""}, "label is ''"),
        ({"document_id": ""}, "document_id is ''"),
        ({"judged_query": "id", "judged_document": "id"}, "judged_document is 'id'"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        EvaluationSpec(**fields)
