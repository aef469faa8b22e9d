from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import normalize

from pipelines.model.folder import read_folder
from pipelines.model.pooling import pool
from pipelines.model.sentence_head import sentence_head

LENGTHS = torch.tensor([2, 3])
POOLING = ("Pooling", {"pooling_mode": "cls"})
DENSE = ("Dense", {"in_features": 32, "out_features": 5, "activation_function": "torch.nn.modules.activation.Tanh"})


def test_a_plain_folder_has_the_mean_normalized(make_folder: Callable[..., Path]) -> None:
    hidden = torch.randn(5, 32)
    found = sentence_head(read_folder(make_folder()))(hidden, LENGTHS)
    expected = normalize(torch.stack([hidden[:2].mean(0), hidden[2:].mean(0)]), dim=-1)
    torch.testing.assert_close(found, expected)


def test_modules_say_what_follows(make_folder: Callable[..., Path]) -> None:
    hidden = torch.randn(5, 32)
    head = sentence_head(read_folder(make_folder(modules=[POOLING, DENSE])))
    found = head(hidden, LENGTHS)
    (dense,) = head.heads
    torch.testing.assert_close(found, torch.tanh(dense.linear(hidden[[0, 2]])))
    assert all(weight.requires_grad for weight in head.parameters())
    unit = sentence_head(read_folder(make_folder(modules=[POOLING, DENSE, ("Normalize", {})])))
    torch.testing.assert_close(unit(hidden, LENGTHS).norm(dim=-1), torch.ones(2))


def test_vectors_are_float32_and_have_slopes(make_folder: Callable[..., Path]) -> None:
    head = sentence_head(read_folder(make_folder(modules=[("Pooling", {"pooling_mode": "mean"}), DENSE])))
    hidden = torch.randn(5, 32, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(hidden, LENGTHS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, head.heads(pool(hidden, LENGTHS, "mean")))
    found.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.any()
