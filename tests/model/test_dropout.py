import pytest
import torch
from torch import nn

from pipelines.model.dropout import FastDropout, drop, hasten


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.875])
def test_a_share_is_0_and_the_mean_stays(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    found = drop(torch.ones(1000, 1001, dtype=dtype), share)
    assert found.dtype == dtype
    zeros, kept = (found == 0).float().mean().item(), found[found != 0].unique()
    assert zeros == pytest.approx(share, abs=2e-3)  # six standard deviations of a million
    assert kept.tolist() == pytest.approx([1 / (1 - share)], rel=5e-3 if dtype == torch.bfloat16 else 1e-4)


def test_neighbors_are_drawn_by_themselves() -> None:
    torch.manual_seed(0)
    kept = (drop(torch.ones(4_000_000), 0.5) != 0).view(-1, 4).float()
    pairs = torch.corrcoef(kept.T) - torch.eye(4)
    assert pairs.abs().max() < 6e-3


def test_gradients_reach_what_is_kept_alone() -> None:
    values = torch.randn(13, 7, requires_grad=True)
    found = drop(values, 0.5)
    found.sum().backward()
    torch.testing.assert_close(values.grad, torch.where(found == 0, 0.0, 2.0))


def test_draws_are_those_of_the_seed() -> None:
    for seed, same in ((1, True), (2, False)):
        torch.manual_seed(1)
        first = drop(torch.ones(99), 0.5)
        torch.manual_seed(seed)
        assert torch.equal(drop(torch.ones(99), 0.5), first) == same


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (1e-9, 1.0), (1.0, 0.0)])
def test_nothing_and_all(share: float, expected: float) -> None:
    assert drop(torch.ones(5), share).tolist() == pytest.approx([expected] * 5)
    assert drop(torch.ones(0, 3), 0.5).shape == (0, 3)


def test_every_plain_dropout_is_hastened() -> None:
    own = type("Own", (nn.Dropout,), {})(0.3)
    network = nn.ModuleDict({"in": nn.Sequential(nn.Dropout(0.2), nn.Linear(2, 2)), "own": own}).eval()
    hasten(network)
    fast = network["in"][0]  # type: ignore[index]
    assert isinstance(fast, FastDropout)
    assert fast.p == 0.2
    assert network["own"] is own
    assert fast(torch.ones(64)).tolist() == [1.0] * 64
    assert 0.0 in fast.train()(torch.ones(64)).tolist()
