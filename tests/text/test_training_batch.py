from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines import instances
from pipelines.text.ragged import Ragged
from pipelines.text.training_batch import NO_LABEL, Instances, TrainingBatch

THREE = Instances(
    values=np.array([10, 11, 20, 30, 31, 32], np.int32),
    offsets=np.array([0, 2, 3, 6]),
    segment_b_start=np.array([1, 0, 2], np.int32),
    sentence_labels=np.array([0, NO_LABEL, 1], np.int8),
    epoch=np.array([0, 0, 1]),
    number=np.array([7, 8, 2]),
)


def test_no_label_is_that_of_the_files() -> None:
    assert NO_LABEL == instances.NO_LABEL


def test_instances_are_taken_in_the_order_asked_for() -> None:
    assert len(THREE) == 3
    assert THREE.lengths.tolist() == [2, 1, 3]
    taken = THREE.take(np.array([2, 0]))
    assert taken.values.tolist() == [30, 31, 32, 10, 11]
    assert taken.offsets.tolist() == [0, 3, 5]
    assert taken.segment_b_start.tolist() == [2, 1]
    assert taken.sentence_labels.tolist() == [1, 0]
    assert taken.epoch.tolist() == [1, 0]
    assert taken.number.tolist() == [2, 7]
    assert (taken.values.dtype, taken.offsets.dtype) == (np.int32, np.int64)


def test_none_may_be_taken() -> None:
    none = THREE.take(np.array([], np.int64))
    assert (len(none), none.offsets.tolist(), none.values.tolist()) == (0, [0], [])


@pytest.mark.parametrize(
    ("objective", "counts"),
    [
        ("mlm+nsp", {"mlm": 2, "nsp": 2}),
        ("mlm+sop", {"mlm": 2, "sop": 2}),
        ("mlm", {"mlm": 2}),
        ("causal", {"clm": 2}),
        ("span", {"span": 2}),
    ],
)
def test_counts_name_the_losses_of_the_objective(objective: str, counts: dict[str, int]) -> None:
    batch = TrainingBatch(
        objective=objective,
        values=THREE.values,
        offsets=THREE.offsets,
        segment_b_start=THREE.segment_b_start,
        positions=np.array([1, 4]),
        targets=np.array([99, 98]),
        sentence_labels=THREE.sentence_labels.astype(np.int64),
    )
    assert batch.counts() == counts
    nothing = replace(batch, targets=np.array([], np.int64), sentence_labels=np.full(3, NO_LABEL))
    assert nothing.counts() == dict.fromkeys(counts, 0)


def test_columns_beside_are_taken_along() -> None:
    beside = {"label": np.array([5, 6, 7]), "labels": Ragged(np.array([1, 2, 3]), np.array([0, 0, 2, 3]))}
    taken = replace(THREE, beside=beside).take(np.array([2, 1]))
    label, labels = taken.beside["label"], taken.beside["labels"]
    assert isinstance(label, np.ndarray)
    assert isinstance(labels, Ragged)
    assert label.tolist() == [7, 6]
    assert (labels.values.tolist(), labels.offsets.tolist()) == ([3, 1, 2], [0, 1, 3])
