from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.model import network as networks
from pipelines.model import training_inputs
from pipelines.model.finetuning import FinetuningModel
from pipelines.model.lesson import Lesson
from pipelines.model.network import Work
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.training_inputs import or_blank, to_device, told_tokens, vectors, with_pads
from pipelines.text.training_batch import NO_LABEL, TrainingBatch
from tests.model.conftest import example_batch, training_batch

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

    def __init__(self, path: networks.Path) -> None:
        self.path: networks.Path = path
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


def test_packed_rows_end_with_pads() -> None:
    """8 tokens and 56 pads: eleven chunks of 5, as the longest of the batch has, and one of 1."""
    network = Echo("packed")
    assert vectors(network, BATCH, CPU).tolist() == BATCH.values.tolist()
    longest, ids, positions, ends, types = network.given
    assert longest == 5
    assert ids == BATCH.values.tolist() + 56 * [9]
    assert positions == [0, 1, 2, 0, 1, 2, 3, 4] + 11 * [0, 1, 2, 3, 4] + [0]
    assert ends == [0, 3, *range(8, 64, 5), 64]
    assert types == [0, 0, 0, 0, 0, 0, 1, 1] + 56 * [0]


@pytest.mark.parametrize(("multiple", "ends"), [(1, []), (4, []), (9, [9]), (7, [13, 14]), (18, [13, 18])])
def test_there_are_as_many_pads_as_a_multiple_lacks(multiple: int, ends: list[int]) -> None:
    row = with_pads(BATCH, 9, multiple)
    assert row.offsets.tolist() == [0, 3, 8, *ends]
    assert row.values.tolist() == [*BATCH.values, *(int(row.offsets[-1]) - 8) * [9]]
    assert row.segment_b_start.tolist() == [0, 3, *(0 for _ in ends)]


@pytest.mark.parametrize(("family", "kind", "objective"), [
    ("Bert", "ForPreTraining", "mlm+nsp"), ("ModernBert", "ForMaskedLM", "mlm"), ("GPT2", "LMHeadModel", "causal"),
])  # fmt: skip
def test_pads_change_no_gradient(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, family: str, kind: str, objective: Any
) -> None:
    """But for the order of float32 sums: by 1e-6 of the largest one at most."""
    module = getattr(transformers, f"{family}{kind}").from_pretrained(make_folder(family, kind=kind)).eval()
    model, batch = PretrainingModel(module, objective, packed=True), training_batch(objective, [40, 3, 17, 8, 1])
    found = []
    for multiple in (64, 1):
        monkeypatch.setattr(training_inputs, "TOKEN_MULTIPLE", multiple)
        model.zero_grad()
        sum(loss.sum for loss in model(batch).values()).backward()
        found.append({name: weight.grad.clone() for name, weight in model.named_parameters()})
    padded, plain = found
    largest = max(slope.abs().max().item() for slope in plain.values())
    for name, slope in plain.items():
        torch.testing.assert_close(padded[name], slope, rtol=0, atol=1e-6 * largest, msg=name)


class Shapes(TorchDispatchMode):
    """Notes the shapes of what is multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[Any, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("mm", "addmm", "bmm", "baddbmm"):
            self.seen.add((func.overloadpacket.__name__, *(tuple(one.shape) for one in args)))
        return func(*args, **(kwargs or {}))


def shapes(model: Any, batch: Any) -> set[tuple[Any, ...]]:
    with Shapes() as noted:
        for loss in model(batch).values():
            loss.sum.backward()
    return noted.seen


def learner(make_folder: Callable[..., Path], family: str, kind: str, told: Any) -> Any:
    """A network that learns by an objective of pretraining, or a task, and a function that makes it batches."""
    tuned = told in ("token_classification", "question_answering")
    folder = make_folder(family, kind=kind, fields={"num_labels": 2} if tuned else None)
    module = getattr(transformers, f"{family}{kind}").from_pretrained(folder)
    if tuned:
        model = FinetuningModel(module, Lesson(task=told, num_logits=2), packed=True)
        return model, partial(example_batch, told, num_labels=2)
    return PretrainingModel(module, told, packed=True), partial(training_batch, told)


@pytest.mark.parametrize(("family", "kind", "told"), [
    ("Bert", "ForMaskedLM", "mlm"), ("GPT2", "LMHeadModel", "causal"),
    ("Bert", "ForTokenClassification", "token_classification"), ("Bert", "ForQuestionAnswering", "question_answering"),
])  # fmt: skip
def test_batches_of_about_the_same_lengths_have_the_same_shapes(
    make_folder: Callable[..., Path], family: str, kind: str, told: Any
) -> None:
    """A kernel is kept for each shape: 41 and 7 tokens, and 38 and 25, are 64 in rows of 64 and of 32."""
    model, batch = learner(make_folder, family, kind, told)
    one = shapes(model, batch(lengths=[41, 7]))
    assert len(one) > 10
    assert shapes(model, batch(lengths=[38, 25])) == one
    assert shapes(model, batch(lengths=[41, 30])) != one


def test_tokens_to_be_told_are_a_multiple() -> None:
    positions, targets = told_tokens(np.arange(3), np.array([7, 8, 9]), CPU)
    assert positions.tolist() == [0, 1, 2] + 29 * [0]
    assert targets.tolist() == [7, 8, 9] + 29 * [NO_LABEL]
    assert [len(found) for found in told_tokens(np.arange(32), np.arange(32), CPU)] == [32, 32]
    assert [len(found) for found in told_tokens(np.arange(0), np.arange(0), CPU)] == [0, 0]


@pytest.mark.parametrize("path", ["padded", "packed"])
def test_without_second_segments_there_are_no_types(path: networks.Path) -> None:
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
