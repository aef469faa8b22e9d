import math

import pytest
import torch
from torch import Tensor

from pipelines.model import losses
from pipelines.model.losses import logit_loss, token_loss

NONE = torch.zeros(0, dtype=torch.int64)


def two_tokens(hidden_md: Tensor) -> Tensor:
    """Logits 0 and x, so that the second token has the probability of a logistic regression."""
    return torch.cat([torch.zeros_like(hidden_md), hidden_md], dim=1)


def test_losses_by_hand() -> None:
    """Logits 0 and ln 3 are probabilities 1/4 and 3/4; 0 and 0 are 1/2."""
    hidden_td = torch.tensor([[5.0], [math.log(3)], [0.0], [math.log(3)]], requires_grad=True)
    found = token_loss(two_tokens, hidden_td, torch.tensor([1, 2, 3]), torch.tensor([1, 1, 0]), 2, 3)
    assert found.count == 3
    assert found.correct == 2  # where two are as likely, either is right
    assert found.sum.item() == pytest.approx(math.log(4 / 3) + math.log(2) + math.log(4))
    found.sum.backward()
    assert hidden_td.grad is not None
    torch.testing.assert_close(hidden_td.grad[:, 0], torch.tensor([0.0, -0.25, -0.5, 0.75]))


def test_tokens_that_are_not_to_be_told_change_nothing() -> None:
    hidden_td = torch.tensor([[5.0], [math.log(3)], [0.0]], requires_grad=True)
    found = token_loss(two_tokens, hidden_td, torch.tensor([1, 2, 0, 0]), torch.tensor([1, 1, -100, -100]), 2, 2)
    assert (found.count, found.correct) == (2, 2)
    assert found.sum.item() == pytest.approx(math.log(4 / 3) + math.log(2))
    found.sum.backward()
    assert hidden_td.grad is not None
    torch.testing.assert_close(hidden_td.grad[:, 0], torch.tensor([0.0, -0.25, -0.5]))


def test_instances_without_a_label_count_for_nothing() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [1e9, 0.0], [0.0, 0.0]])
    found = logit_loss(logits, torch.tensor([1, -100, 0]), 2)
    assert (found.count, found.correct.item()) == (2, 2)  # the one without a label would be right, too
    assert found.sum.item() == pytest.approx(math.log(4 / 3) + math.log(2))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8])
def test_pieces_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    torch.manual_seed(1)
    decoder = torch.nn.Linear(4, 11)
    hidden_td, positions = torch.randn(9, 4, requires_grad=True), torch.tensor([0, 2, 2, 4, 5, 6, 8])
    targets = torch.randint(0, 11, (7,))
    weights = [hidden_td, decoder.weight, decoder.bias]
    whole = token_loss(decoder, hidden_td, positions, targets, 11, 7)
    slopes = torch.autograd.grad(whole.sum, weights)
    monkeypatch.setattr(losses, "LOGITS_BYTES", rows * 11 * 4)
    sizes: list[int] = []

    def pieces(hidden_md: Tensor) -> Tensor:
        sizes.append(len(hidden_md))
        logits: Tensor = decoder(hidden_md)
        return logits

    found = token_loss(pieces, hidden_td, positions, targets, 11, 7)
    assert (found.count, found.correct) == (7, whole.correct)
    torch.testing.assert_close(found.sum, whole.sum)
    for slope, expected in zip(torch.autograd.grad(found.sum, weights), slopes, strict=True):
        torch.testing.assert_close(slope, expected)
    passes = 1 if rows >= 7 else 2  # a second one in the backward pass
    assert (max(sizes), sum(sizes)) == (min(rows, 7), 7 * passes)


def test_nothing_told_leaves_slopes_of_0() -> None:
    decoder, hidden_td = torch.nn.Linear(4, 11), torch.randn(3, 4, requires_grad=True)
    found = token_loss(decoder, hidden_td, NONE, NONE, 11, 0)
    assert (found.sum.item(), found.count, found.correct.item()) == (0, 0, 0)
    for slope in torch.autograd.grad(found.sum, [hidden_td, decoder.weight, decoder.bias]):
        assert (slope == 0).all()


def test_losses_are_float32_whatever_the_logits_are() -> None:
    found = token_loss(lambda hidden: two_tokens(hidden).bfloat16(), torch.ones(300, 1), torch.arange(300),
                       torch.zeros(300, dtype=torch.int64), 2, 300)  # fmt: skip
    assert (found.sum.dtype, found.correct.dtype) == (torch.float32, torch.float32)
    assert found.sum.item() == pytest.approx(300 * math.log(1 + math.e), rel=1e-5)
