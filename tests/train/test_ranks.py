from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from pipelines.train.ranks import Ranks, keeping
from tests.train.workers import on_workers


def test_one_worker_needs_nobody() -> None:
    alone = Ranks.joined()
    assert (alone.rank, alone.world, alone.is_first) == (0, 1, True)
    assert alone.sum([1, 2.5]) == [1, 2.5]
    assert alone.of_first("x") == "x"
    assert alone.gathered("x") == ["x"]
    model = nn.Linear(1, 1)
    assert alone.wrapped(model) is model
    with keeping(model, share=False):
        pass


def speak(folder: Path) -> None:
    """What the workers of the test below hear of each other."""
    ranks = Ranks.joined()
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0 + ranks.rank)
    shared = ranks.wrapped(model)
    with keeping(shared, share=False):
        shared(torch.tensor([[1.0 + ranks.rank]])).sum().backward()
    alone = model.weight.grad.item()
    with keeping(shared, share=True):
        shared(torch.tensor([[10.0]])).sum().backward()
    heard = {
        "sum": ranks.sum([1, 2**53 // 2, ranks.rank / 4]),
        "of_first": ranks.of_first(f"I am {ranks.rank}"),
        "gathered": ranks.gathered(f"I am {ranks.rank}"),
        "weight": model.weight.item(),
        "alone": alone,
        "mean": model.weight.grad.item(),
    }
    (folder / f"{ranks.rank}.json").write_text(json.dumps(heard))


def test_workers_hear_of_each_other(tmp_path: Path) -> None:
    on_workers([2], tmp_path, speak)
    for rank in range(2):
        assert json.loads((tmp_path / "2" / f"{rank}.json").read_text()) == {
            "sum": [2.0, 2.0**53, 0.25],
            "of_first": "I am 0",
            "gathered": ["I am 0", "I am 1"],
            "weight": 1.0,
            "alone": 1.0 + rank,
            "mean": (11.0 + 12.0) / 2,
        }
