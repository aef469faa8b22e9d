"""Columns of labels as classes, whatever type they are of."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.stages.class_labels import ClassLabels, each_once, in_order, is_class, read_labels


def rows(found: ClassLabels) -> list[list[str]]:
    return [[found.names[code] for code in found.codes[row].tolist()] for row in range(len(found.codes))]


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [
        (["no", "yes", None, "no"], pa.string(), ["no", "yes"]),
        ([3, 10, None, 3], pa.int8(), ["3", "10"]),
        ([True, False, None, True], pa.bool_(), ["true", "false"]),
        (["no", "yes", None, "no"], pa.large_string(), ["no", "yes"]),
    ],
)
def test_one_class_a_row(values: list[Any], kind: pa.DataType, names: list[str]) -> None:
    found = read_labels(pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)]))
    assert is_class(kind)
    assert rows(found) == [[names[0]], [names[1]], [], [names[0]]]
    assert found.faults == {2: "the label is null"}


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 2)])
def test_lists_of_classes(kind: pa.DataType) -> None:
    found = read_labels(pa.chunked_array([pa.array([["a", "b"], None, ["b", None], ["b", "b"]], kind)]))
    assert rows(found) == [["a", "b"], [], [], ["b", "b"]]
    assert found.faults == {1: "the labels are null", 2: "a label is null"}


def test_an_empty_list_has_no_class() -> None:
    found = read_labels(pa.chunked_array([pa.array([[], [1]], pa.list_(pa.int64()))]))
    assert (rows(found), found.faults) == ([[], ["1"]], {})
    none = read_labels(pa.chunked_array([], pa.string()))
    assert (rows(none), none.names) == ([], [])


def test_an_empty_label_is_none() -> None:
    found = read_labels(pa.chunked_array([pa.array([["a"], ["a", " "], [""], [None, ""]], pa.list_(pa.string()))]))
    assert rows(found) == [["a"], [], [], []]
    assert found.faults == {1: "a label is empty", 2: "a label is empty", 3: "a label is null"}


def test_a_label_that_is_none_of_the_classes() -> None:
    found = read_labels(pa.chunked_array([pa.array([["b", "a"], ["c"], None, ["c", "b"]], pa.list_(pa.string()))]))
    told = found.as_classes(["a", "b"])
    assert (rows(told), told.codes[0].tolist()) == ([["b", "a"], [], [], []], [1, 0])
    unknown = "a label is none of the classes"
    assert told.faults == {1: unknown, 2: "the labels are null", 3: unknown}


def test_numbers_may_have_names() -> None:
    found = read_labels(pa.chunked_array([pa.array([1, 0, 2, -1])]))
    told = found.as_classes(["O", "B-X"], by_number=True)
    assert rows(told) == [["B-X"], ["O"], [], []]
    assert set(told.faults) == {2, 3}
    assert rows(found.as_classes(["2", "1"], by_number=True)) == [["1"], [], ["2"], []]  # they are the numbers


def test_each_class_of_a_row_once() -> None:
    found = each_once(read_labels(pa.chunked_array([pa.array([[3, 1, 3], [], [1], [2, 1]])])).codes)
    assert [found[row].tolist() for row in range(4)] == [[0, 1], [], [1], [1, 2]]
    none = each_once(read_labels(pa.chunked_array([pa.array([[], []], pa.list_(pa.string()))])).codes)
    assert none.offsets.tolist() == [0, 0, 0]


def test_numbers_are_sorted_by_size() -> None:
    assert in_order({"10", "9", "-1"}, pa.int64()) == ["-1", "9", "10"]
    assert in_order({"10", "9", "a"}, pa.string()) == ["10", "9", "a"]
