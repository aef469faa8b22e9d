"""One instance by hand; all of them against transformers in test_pretraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import T5ForConditionalGeneration

from pipelines.model.span_loss import span_loss
from pipelines.text.training_batch import NO_LABEL, TrainingBatch

CPU = torch.device("cpu")
BATCH = TrainingBatch(
    objective="span",
    values=np.array([7, 8, 9, 11, 12], np.int32),
    offsets=np.array([0, 3, 5]),
    segment_b_start=np.zeros(2, np.int32),
    positions=np.zeros(0, np.int64),
    targets=np.array([21, 22, 23]),
    sentence_labels=np.full(2, NO_LABEL),
    target_offsets=np.array([0, 1, 3]),
)


@pytest.fixture(scope="module")
def module(make_folder: Callable[..., Path]) -> T5ForConditionalGeneration:
    path = make_folder("T5", kind="ForConditionalGeneration", fields={"decoder_start_token_id": 1})
    return T5ForConditionalGeneration.from_pretrained(path).eval()


def test_each_token_is_told_from_those_before_it(module: T5ForConditionalGeneration) -> None:
    second = module(input_ids=torch.tensor([[11, 12]]), decoder_input_ids=torch.tensor([[1, 22]])).logits[0]
    first = module(input_ids=torch.tensor([[7, 8, 9]]), decoder_input_ids=torch.tensor([[1]])).logits[0]
    likely = torch.cat([first, second]).log_softmax(-1)
    found = span_loss(module, BATCH, 0, CPU)
    assert found.count == 3
    torch.testing.assert_close(found.sum, -likely[[0, 1, 2], [21, 22, 23]].sum(), rtol=1e-5, atol=1e-5)
    best = replace(BATCH, targets=np.array([int(first[0].argmax()), 22, int(second[1].argmax())]))
    assert span_loss(module, best, 0, CPU).correct == 2 + int(second[0].argmax() == 22)


def test_an_instance_without_a_target_takes_no_part(module: T5ForConditionalGeneration) -> None:
    lone = replace(BATCH, values=BATCH.values[3:], offsets=np.array([0, 2]), target_offsets=np.array([0, 2]),
                   targets=BATCH.targets[1:])  # fmt: skip
    beside = replace(BATCH, targets=BATCH.targets[1:], target_offsets=np.array([0, 0, 2]))
    found, expected = (span_loss(module, batch, 0, CPU) for batch in (beside, lone))
    assert found.count == expected.count == 2
    torch.testing.assert_close(found.sum, expected.sum, rtol=1e-5, atol=1e-5)
