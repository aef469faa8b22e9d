from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.model.network import Path, Work
from pipelines.model.training_inputs import or_blank, to_device, vectors
from pipelines.text.training_batch import NO_LABEL, TrainingBatch

CPU = torch.device("cpu")
BATCH = TrainingBatch(
    objective="mlm+nsp",
    values=np.array([2, 11, 3, 2, 12, 3, 13, 3], np.int32),
    offsets=np.array([0, 3, 8]),
    segment_b_start=np.array([0, 3], np.int32),
    positions=np.array([1]),
    targets=np.array([14]),
    sentence_labels=np.array([NO_LABEL, 1]),
)


class Echo:
    """A network whose vectors are what it was given."""

    pad_id, vocab_size, work = 9, 20, Work(0, 0)

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.given: list[Any] = []

    def padded(self, input_ids_bs: Tensor, attention_mask_bs: Tensor, token_types_bs: Tensor | None = None) -> Tensor:
        self.given = [None if t is None else t.tolist() for t in (input_ids_bs, attention_mask_bs, token_types_bs)]
        return input_ids_bs[attention_mask_bs.bool()]

    def packed(
        self, input_ids_t: Tensor, position_ids_t: Tensor, cu_seqlens: Tensor, max_seqlen: int,
        token_types_t: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        tensors = (input_ids_t, position_ids_t, cu_seqlens, token_types_t)
        self.given = [max_seqlen, *(None if t is None else t.tolist() for t in tensors)]
        return input_ids_t


def test_padded_rows() -> None:
    network = Echo("padded")
    assert vectors(network, BATCH, CPU).tolist() == BATCH.values.tolist()
    assert network.given == [
        [[2, 11, 3, 9, 9], [2, 12, 3, 13, 3]],
        [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]],
        [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]],
    ]


def test_packed_rows() -> None:
    network = Echo("packed")
    assert vectors(network, BATCH, CPU).tolist() == BATCH.values.tolist()
    assert network.given == [5, BATCH.values.tolist(), [0, 1, 2, 0, 1, 2, 3, 4], [0, 3, 8], [0, 0, 0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_without_second_segments_there_are_no_types(path: Path) -> None:
    network = Echo(path)
    vectors(network, replace(BATCH, segment_b_start=np.zeros(2, np.int32)), CPU)
    assert network.given[-1] is None


def test_in_place_of_no_instances_there_is_one_that_tells_nothing() -> None:
    assert or_blank(BATCH, 9) is BATCH
    none = np.zeros(0, np.int64)
    empty = TrainingBatch(
        objective="span", values=none.astype(np.int32), offsets=np.zeros(1, np.int64), positions=none, targets=none,
        segment_b_start=none.astype(np.int32), sentence_labels=none, target_offsets=np.zeros(1, np.int64),
    )  # fmt: skip
    blank = or_blank(empty, 9)
    assert (blank.values.tolist(), blank.offsets.tolist(), blank.sentence_labels.tolist()) == ([9], [0, 1], [NO_LABEL])
    assert blank.target_offsets is not None
    assert blank.target_offsets.tolist() == [0, 0]
    assert blank.counts() == {"span": 0}


def test_arrays_that_are_read_backwards_go_along() -> None:
    assert to_device(np.arange(3)[::-1], CPU).tolist() == [2, 1, 0]
