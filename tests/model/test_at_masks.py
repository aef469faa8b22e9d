"""Masks by hand, and the vectors that are taken at them."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.model.at_masks import AtMasks, Masks
from pipelines.model.loop import Chunks

# chunks [9 4], [9 9 9], [4 9 4]; 4 is the mask
CHUNKS = Chunks(np.array([9, 4, 9, 9, 9, 4, 9, 4], np.int32), np.array([0, 2, 5, 8]))


def test_masks_of_chunks() -> None:
    masks = Masks.of_id(CHUNKS, 4)
    assert masks.offsets.tolist() == [0, 1, 1, 3]
    assert masks.positions.tolist() == [1, 0, 2]
    assert (masks.counts.tolist(), len(masks)) == ([1, 0, 2], 3)


def test_masks_of_some_chunks_keep_their_numbers() -> None:
    some = Masks.of_id(CHUNKS, 4).of(np.array([2, 1, 0]))
    assert some.positions.tolist() == [0, 2, 1]
    assert some.offsets.tolist() == [0, 2, 2, 3]
    assert some.numbers is not None
    assert some.numbers.tolist() == [1, 2, 0]
    again = some.of(np.array([2]))
    assert again.numbers is not None
    assert again.numbers.tolist() == [0]


def test_vectors_at_masks_of_a_batch() -> None:
    taken: list[tuple[list[int], list[list[float]]]] = []
    harvest = AtMasks(Masks.of_id(CHUNKS, 4), lambda numbers, hidden: taken.append((numbers.tolist(), hidden.tolist())))
    hidden_td = torch.arange(5, dtype=torch.float32)[:, None]  # of chunks 2 and 0, end to end
    harvest(np.array([2, 0]), hidden_td, torch.tensor([3, 2]))
    assert taken == [([1, 2, 0], [[0.0], [2.0], [4.0]])]
    harvest(np.array([1]), hidden_td[:3], torch.tensor([3]))  # without a mask nothing is taken
    assert len(taken) == 1
