"""Losses against sums by hand, and against torch's own means."""

from __future__ import annotations

import math

import pytest
import torch
from torch import tensor
from torch.nn.functional import cross_entropy

from pipelines.model.task_losses import answer_loss, class_loss, classes_loss, score_loss, value_loss

EVEN = math.log(2)


def test_a_class_by_hand() -> None:
    """Of even odds each class has ln 2; of logits 0 and ln 3 the second one has a probability of 3/4."""
    logits = tensor([[0.0, 0.0], [0.0, math.log(3)], [0.0, math.log(3)]])
    found = class_loss(logits, tensor([0, 1, -100]), 2)
    assert found.sum.item() == pytest.approx(EVEN - math.log(3 / 4))
    assert (found.count, found.correct.item()) == (2, 2.0)


def test_weights_and_smoothing_by_hand() -> None:
    """The first example counts 3 times; a tenth of its target lies on either class."""
    logits = tensor([[0.0, math.log(3)]])
    first, second = -math.log(1 / 4), -math.log(3 / 4)
    assert class_loss(logits, tensor([0]), 1, tensor([3.0, 0.5])).sum.item() == pytest.approx(3 * first)
    assert class_loss(logits, tensor([0]), 1, None, 0.2).sum.item() == pytest.approx(0.9 * first + 0.1 * second)
    both = class_loss(logits, tensor([0]), 1, tensor([3.0, 0.5]), 0.2)
    assert both.sum.item() == pytest.approx(3 * 0.9 * first + 0.5 * 0.1 * second)


def test_balanced_weights_divided_by_a_plain_count_are_torchs_weighted_mean() -> None:
    logits, targets = torch.randn(6, 2), tensor([0, 0, 0, 0, 1, 1])
    weights = tensor([6 / 8, 6 / 4])
    found = class_loss(logits, targets, 6, weights)
    torch.testing.assert_close(found.sum / found.count, cross_entropy(logits, targets, weights))


def test_classes_by_hand() -> None:
    found = classes_loss(tensor([[0.0, math.log(3)], [-math.log(3), 1.0]]), tensor([[1.0, 1.0], [0.0, 0.0]]))
    expected = EVEN - 2 * math.log(3 / 4) + math.log(1 + math.e)
    assert found.sum.item() == pytest.approx(expected)
    assert (found.count, found.correct.item()) == (4, 2.0)  # a half is no yes


def test_values_have_no_right_and_wrong() -> None:
    found = value_loss(tensor([1.0, -2.0]), tensor([0.5, 1.0]))
    assert (found.sum.item(), found.count) == (9.25, 2)
    assert found.correct.isnan()


def test_scores_are_held_to_cosines() -> None:
    """At right angles, and at 45 degrees; lengths count for nothing."""
    anchors, positives = tensor([[2.0, 0.0], [1.0, 0.0]]), tensor([[0.0, 5.0], [3.0, 3.0]])
    found = score_loss(anchors, positives, tensor([0.5, 1.0]))
    assert found.sum.item() == pytest.approx(0.25 + (1 - math.sqrt(0.5)) ** 2)
    assert found.correct.isnan()


def test_answers_by_hand() -> None:
    """A window of two tokens and one of three: the third token of the first is none."""
    even = torch.zeros(5, 2)
    found = answer_loss(even, tensor([[0, 1], [2, 2]]), [2, 3])
    assert found.sum.item() == pytest.approx(math.log(2) + math.log(3))
    assert (found.count, found.correct.item()) == (2, 2.0)
    even[1, 1] = -1.0
    assert answer_loss(even, tensor([[0, 1], [2, 2]]), [2, 3]).correct == 1.0


def test_answers_have_slopes_where_windows_are_padded() -> None:
    logits = torch.randn(5, 2, requires_grad=True)
    answer_loss(logits, tensor([[0, 1], [2, 2]]), [2, 3]).sum.backward()
    expected = logits.detach().clone().requires_grad_()
    parts = zip(expected.split([2, 3]), ([0, 1], [2, 2]), strict=True)
    torch.stack([cross_entropy(rows.T, tensor(ends), reduction="sum") / 2 for rows, ends in parts]).sum().backward()
    torch.testing.assert_close(logits.grad, expected.grad)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nothing_to_tell_has_no_loss_but_a_slope(smoothing: float) -> None:
    head = torch.nn.Linear(4, 3)
    none = head(torch.ones(1, 4))[:0]
    whole = torch.zeros(0, dtype=torch.int64)
    found = [
        class_loss(none, whole, 0, None, smoothing),
        classes_loss(none, torch.zeros(0, 3)),
        value_loss(none[:, 0], torch.zeros(0)),
        score_loss(none, none, torch.zeros(0)),
        answer_loss(none[:, :2], whole.reshape(0, 2), []),
    ]
    for loss in found:
        head.zero_grad()
        loss.sum.backward(retain_graph=True)
        assert (loss.sum.item(), loss.count) == (0, 0)
        assert head.weight.grad is not None
        assert not head.weight.grad.any()
