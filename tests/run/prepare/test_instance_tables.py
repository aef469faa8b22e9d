from __future__ import annotations

import io

import pytest
from rich.console import Console, Group

from pipelines.run.prepare.instance_counts import InstanceCounts
from pipelines.run.prepare.instance_tables import bar, grouped, instance_pairs, instance_tables
from tests.run.prepare.test_instance_counts import counts


def shown(ours: InstanceCounts, warnings: list[str], width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(Group(*instance_tables(ours, warnings)))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_numbers_histogram_and_warnings_fit_eighty_columns() -> None:
    lines = shown(counts(train=1_234_567, sentences=73_344_000, documents=24_900_000), ["too few [documents]"])
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    for words in ("1,234,567", "73,344,000", "24,899,999", "padding, sorted", "! too few [documents]"):
        assert words in text, words
    bars = [line.split() for line in lines if line.strip().startswith(("4-4", "8-8", "5-5"))]
    assert bars == [["4-4", "5", "█" * 40], ["5-5", "0"], ["8-8", "5", "█" * 40]]


def test_dropped_duplicates_are_no_documents_to_train_on() -> None:
    kept, dropped = (instance_pairs(counts(documents=100, duplicates=7, dropped_documents=number)) for number in (0, 7))
    assert (kept["documents"], kept["duplicates"]) == ("99", "7")
    assert (dropped["documents"], dropped["duplicates dropped"]) == ("92", "7")


@pytest.mark.parametrize(("objective", "name"), [("mlm+nsp", "random"), ("mlm+sop", "swapped"), ("mlm", None)])
def test_the_label_is_called_what_it_is(objective: str, name: str | None) -> None:
    pairs = instance_pairs(counts(objective=objective, train_labelled=5))
    assert {"random", "swapped", "short"} & pairs.keys() == ({name, "short"} if name else set())
    assert name is None or pairs[name] == "50.0 %"


def test_lengths_in_ranges() -> None:
    assert grouped({1: 2, 16: 3, 17: 5, 128: 7}, 128)[:2] == [(1, 16, 5), (17, 32, 5)]
    assert grouped({128: 7}, 128)[-1] == (113, 128, 7)
    assert grouped({12: 1}, 12)[-1] == (11, 12, 1)  # ranges of 2


def test_bars_show_the_smallest_number_and_none_for_nothing() -> None:
    assert (bar(0, 9), bar(1, 10**6), bar(1, 80), bar(3, 4)) == ("", "▏", "▌", "█" * 30)
