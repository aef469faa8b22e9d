"""A request of a conversion: refused at birth where it names no files."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.run.convert.convert_order import ConvertOrder


def order(**changes: Any) -> ConvertOrder:
    return ConvertOrder(**{"source": ["a", "b"], "output": "out", "max_dead_letters": 0.5} | changes)


def test_the_source_is_the_documents_of_the_run() -> None:
    run = order().run
    assert (run.job, run.documents, run.output, run.max_dead_letters) == ("convert", ["a", "b"], "out", 0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": ""}, "no corpus is named: give --source a file"),
        ({"output": ""}, "no output is named"),
        ({"max_dead_letters": 2}, "max_dead_letters is 2"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        order(**changes)
