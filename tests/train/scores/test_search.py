from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pipelines.train.scores import search


def blocks(vectors: np.ndarray, size: int) -> search.Blocks:
    def give() -> Iterator[np.ndarray]:
        return (vectors[start : start + size] for start in range(0, len(vectors), size))

    return give


def test_ranks_by_hand() -> None:
    queries = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    documents = np.array([[0.1, 0.9], [0.9, 0.1], [0.5, 0.5]], np.float32)
    found = search.ranks(queries, blocks(documents, 2), np.array([0, 0, 1, 1]), np.array([0, 2, 1, -1]))
    assert found.tolist() == [3, 2, 3, 0]


def test_of_documents_that_are_as_near_the_first_is_first() -> None:
    documents = np.ones((5, 2), np.float32)
    found = search.ranks(np.ones((1, 2), np.float32), blocks(documents, 2), np.zeros(5, np.int64), np.arange(5))
    assert found.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("at_a_time", [3, 1024])
def test_blocks_give_what_sorting_everything_gives(size: int, at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES_AT_A_TIME", at_a_time)
    rng = np.random.default_rng(0)
    queries = rng.integers(-3, 4, (10, 4)).astype(np.float32)  # whole numbers: products are exact, and often equal
    documents = rng.integers(-3, 4, (60, 4)).astype(np.float32)
    query, place = rng.integers(0, 10, 40), rng.integers(0, 60, 40)
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")
    expected = [1 + order[q].tolist().index(p) for q, p in zip(query, place, strict=True)]
    assert search.ranks(queries, blocks(documents, size), query, place).tolist() == expected
