"""The request of a run is refused at birth where it is wrong, and runs are named so that names sort by time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.run.order import Order, Rates, new_run_id, order_of


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"documents": ""}, "no corpus is named"),
        ({"documents": []}, "no corpus is named"),
        ({"output": ""}, "no output is named"),
        ({"limit": -1}, "limit is -1"),
        ({"max_dead_letters": 1.5}, "max_dead_letters is 1.5"),
        ({"max_dead_letters": -0.1}, "write a share from 0 to 1"),
        ({"since": "2026-1-1"}, "since is '2026-1-1': write a day as 2026-11-23"),
        ({"until": "2026-02-30"}, "until is '2026-02-30'"),
        ({"since": "2026-11-23", "until": "2026-11-23"}, "which is not after it: no day lies between"),
    ],
)
def test_a_wrong_order_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Order(**{"job": "embed", "documents": "c", "output": "o"} | fields)


def test_a_right_order_is_kept() -> None:
    order = Order(job="embed", documents=["a", "b"], output="o", max_dead_letters=1, limit=3)
    assert (order.documents, order.limit, order.removed) == (["a", "b"], 3, "keep")


def test_an_order_takes_its_own_of_a_jobs_arguments() -> None:
    arguments = {"spec": 1, "documents": "c", "output": "o", "since": "2026-11-23", "text": ""}
    assert order_of(Order, "embed", arguments) == Order(job="embed", documents="c", output="o", since="2026-11-23")


def test_run_ids_sort_by_time_and_differ() -> None:
    early, late = new_run_id(0.0), new_run_id(86400.0)
    assert early.startswith("19700101T000000Z-")
    assert re.fullmatch(r"19700102T000000Z-[0-9a-f]{8}", late)
    assert early < late
    assert new_run_id(0.0) != early


@pytest.mark.parametrize("name", ["gpu", "cpu", "tokens_per_second"])
@pytest.mark.parametrize("value", [-0.5, float("inf"), float("nan")])
def test_a_wrong_rate_is_refused(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=f"Rates.{name} is .*: write a number of at least 0"):
        Rates(**{name: value})


def test_costs_by_hand() -> None:
    assert Rates(gpu=3.0, cpu=0.5).cost(1200, encoders=2, tokenizers=6) == {"gpu": 2.0, "cpu": 1.0}
    assert Rates(cpu=0.1).are_told
    assert not Rates(tokens_per_second=5).are_told
