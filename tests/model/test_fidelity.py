from __future__ import annotations

import numpy as np
import pytest

from pipelines.model.fidelity import MOST_QUERIES, Fidelity, fidelity, rank_correlation, recall, unit

RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(60, 24)).astype(np.float32)


def floats(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_recall_by_hand() -> None:
    truth = floats(9, 8, 7, 1, 2)
    assert recall(truth, truth * 2, 3) == 1.0
    assert recall(truth, floats(9, 0, 7, 8, 1), 3) == pytest.approx(2 / 3)
    assert recall(truth, -truth, 2) == 0.0


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation(floats(1, 2, 3), floats(10, 20, 30)) == pytest.approx(1)
    assert rank_correlation(floats(1, 2, 3), floats(30, 20, 10)) == pytest.approx(-1)
    # ranks 1 2 3 4 and 1 2 4 3: 1 - 6 x 2 / (4 x 15)
    assert rank_correlation(floats(1, 2, 3, 4), floats(1, 2, 9, 5)) == pytest.approx(0.8)
    # ties share their mean: ranks 1 2 3 and 1 2.5 2.5
    assert rank_correlation(floats(1, 2, 3), floats(0, 5, 5)) == pytest.approx(0.75**0.5)
    assert rank_correlation(floats(1, 2, 3), floats(4, 4, 4)) == 0


def test_equal_vectors_lose_nothing_and_strangers_nearly_everything() -> None:
    same = fidelity(VECTORS, VECTORS, VECTORS * 3)
    assert same.recall_at_10 == 1
    assert same.rank_correlation == pytest.approx(1)
    others = RNG.normal(size=VECTORS.shape).astype(np.float32)
    lost = fidelity(VECTORS, others, others)
    assert lost.recall_at_10 is not None
    assert lost.recall_at_10 < 0.4  # by chance 10 of 59
    assert abs(lost.rank_correlation or 0) < 0.1


def test_the_plain_way_gives_the_same() -> None:
    found = np.round(VECTORS)
    cosines, coarse = unit(VECTORS) @ unit(VECTORS).T, unit(VECTORS) @ unit(found).T
    recalls = []
    for row in range(60):
        best, seen = (
            sorted((n for n in range(60) if n != row), key=lambda n: -table[row, n])[:10] for table in (cosines, coarse)
        )
        recalls.append(len({*best} & {*seen}) / 10)
    assert fidelity(VECTORS, VECTORS, found).recall_at_10 == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize(
    ("num", "recalled", "correlated"),
    [(0, False, False), (2, False, False), (3, False, True), (11, False, True), (12, True, True)],
)
def test_what_a_small_sample_cannot_tell_is_none(num: int, recalled: bool, correlated: bool) -> None:
    found = fidelity(VECTORS[:num], VECTORS[:num], VECTORS[:num])
    assert (found.recall_at_10 is not None, found.rank_correlation is not None) == (recalled, correlated)


def test_a_large_sample_is_asked_some_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("pipelines.model.fidelity.recall", lambda truth, guess: asked.append(len(truth)) or 1.0)
    many = RNG.normal(size=(MOST_QUERIES + 500, 2)).astype(np.float32)
    assert fidelity(many, many, many) == Fidelity(recall_at_10=1.0, rank_correlation=pytest.approx(1.0))
    assert asked == [MOST_QUERIES + 499] * MOST_QUERIES


def test_a_vector_of_no_length_is_no_error() -> None:
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]
