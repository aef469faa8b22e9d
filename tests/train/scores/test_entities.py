from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.train.scores.entities import Tags, entities, entity_scores

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def numbers(tags: str, labels: list[str] = LABELS) -> np.ndarray:
    return np.array([labels.index(tag) for tag in tags.split()], np.int64)


def found(tags: str, counts: list[int] | None = None, labels: list[str] = LABELS) -> list[tuple[int, int, str]]:
    kinds = Tags.of(labels)
    ours = entities(numbers(tags, labels), np.array(counts or [len(tags.split())]), kinds)
    return [(a, b, kinds.types[k]) for a, b, k in zip(ours.first, ours.last, ours.kind, strict=True)]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", [(0, 1, "PER"), (3, 3, "LOC")]),
        ("B-PER B-PER", [(0, 0, "PER"), (1, 1, "PER")]),
        ("B-PER I-LOC I-LOC", [(0, 0, "PER"), (1, 2, "LOC")]),
        ("I-PER I-PER B-PER", [(0, 1, "PER"), (2, 2, "PER")]),
        ("O I-LOC O", [(1, 1, "LOC")]),
        ("O O", []),
    ],
)
def test_entities_by_hand(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert found(tags) == expected


def test_a_new_text_begins_a_new_entity() -> None:
    assert found("B-PER I-PER I-PER I-PER", [2, 0, 2]) == [(0, 1, "PER"), (2, 3, "PER")]


def test_tags_without_prefixes_are_runs() -> None:
    assert found("PER PER O LOC PER", labels=["LOC", "O", "PER"]) == [(0, 1, "PER"), (3, 3, "LOC"), (4, 4, "PER")]


def test_scores_by_hand() -> None:
    right = numbers("B-PER I-PER O B-LOC O B-PER")
    told = numbers("B-PER I-PER O B-PER O O")
    scores = entity_scores(told, right, np.array([3, 3]), LABELS)
    assert list(scores) == ["f1", "precision", "recall", "token_accuracy"]
    assert scores == pytest.approx({"f1": 2 / 5, "precision": 1 / 2, "recall": 1 / 3, "token_accuracy": 4 / 6})
    half = entity_scores(numbers("B-PER O O B-LOC O B-PER"), right, np.array([3, 3]), LABELS)
    assert half["f1"] == pytest.approx(4 / 6)  # an entity of which the end is missing is wrong


def test_without_entities_there_is_no_f1() -> None:
    scores = entity_scores(np.zeros(2, np.int64), np.zeros(2, np.int64), np.array([2]), LABELS)
    assert np.isnan([scores["f1"], scores["precision"], scores["recall"]]).all()
    assert scores["token_accuracy"] == 1


def conlleval(tags: list[str]) -> set[tuple[int, int, str]]:
    """Word by word, as conlleval's script goes: a chunk ends, then another one begins."""
    chunks, start, before, kind_before = set(), 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = (tag[0], tag[2:]) if tag != "O" else ("O", "")
        ends = before in "BI" and (prefix in "BO" or kind != kind_before)
        begins = prefix == "B" or (prefix == "I" and (before == "O" or kind != kind_before))
        if ends:
            chunks.add((start, place - 1, kind_before))
        if begins:
            start = place
        before, kind_before = prefix, kind
    return chunks


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=12))
def test_they_are_conllevals(tags: list[str]) -> None:
    assert set(found(" ".join(tags))) == conlleval(tags)
