"""However a batch is cut and spread over workers, its texts are told from all others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from pipelines.model.finetuning import FinetuningModel
from pipelines.model.lesson import Lesson
from pipelines.model.sentence_head import SentenceHead
from pipelines.text.example_batch import ExampleBatch
from pipelines.train.optimizer import AdamSettings
from pipelines.train.ranks import Ranks
from pipelines.train.rehearsal import rehearse
from pipelines.train.source import Share
from pipelines.train.step import Stepper, dropout_seed
from tests.train.small import flat
from tests.train.workers import on_workers

EXAMPLES, SEED = 12, 5
ADAM = AdamSettings(max_grad_norm=0.0, epsilon=1e-2)  # a key's bias has a slope of rounding alone


def small_network(dropout: float = 0.0) -> FinetuningModel:
    """An embedding model with one layer more behind its pooling."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.3,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    head = SentenceHead("mean", nn.Sequential(nn.Linear(16, 8)), normalizes=True)
    lesson = Lesson(task="embedding", num_logits=0, temperature=0.1, is_contrastive=True)
    return FinetuningModel(BertModel(config, add_pooling_layer=False), lesson, sentence_head=head)


def examples(numbers: Sequence[int]) -> ExampleBatch:
    """Each a function of its number: an anchor, a positive and, of every third, a negative. Some texts occur twice."""
    texts, counts = [], []
    for number in numbers:
        rng = np.random.default_rng(number)
        own = [rng.integers(5, 50, rng.integers(2, 9)) for _ in range(2 + (number % 3 == 0))]
        if number % 4 == 3:
            own[1] = np.arange(5, 9)
        texts += own
        counts.append(len(own))
    return ExampleBatch(
        task="embedding",
        values=np.concatenate([np.zeros(0), *texts]).astype(np.int32),
        offsets=np.cumsum([0, *map(len, texts)]),
        segment_b_start=np.zeros(len(texts), np.int32),
        targets=np.zeros(0, np.float32),
        number=np.array(numbers, np.int64),
        examples=np.cumsum([0, *counts]),
    )


def train(cuts: Sequence[Sequence[int]], ranks: Ranks = Ranks(), precision: str = "float32") -> tuple[Tensor, float]:
    """Weights after three steps over micro-batches of these examples, and the losses of them all."""
    model = small_network()
    stepper = Stepper(model, ADAM, losses=["match"], ranks=ranks, precision=precision)
    share = Share(batches=[examples(cut) for cut in cuts], num_tokens=0)
    for number in range(3):
        stepper.step(number, share, {"match": EXAMPLES}, 1e-2)
    loss = stepper.taken()[0][0]
    return torch.from_numpy(flat(model)), ranks.sum([loss])[0]


def halves(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


def work(folder: Path) -> None:
    """What each worker does. Of three the last one has two micro-batches, and the first one example."""
    ranks = Ranks.joined()
    mine = {2: [range(6), range(6, 12)], 3: [range(1), range(1, 6), range(6, 12)], 4: halves(range(12), 3)}[ranks.world]
    cuts = halves(mine[ranks.rank], 3 if ranks.world == 3 and ranks.rank == 2 else 100)
    weights, loss = train(cuts, ranks)
    np.savez(folder / f"{ranks.rank}.npz", weights=weights.numpy(), loss=loss)


def test_workers_are_one_batch(tmp_path: Path) -> None:
    on_workers([4, 3, 2], tmp_path, work)
    expected, loss = train([range(EXAMPLES)])
    for world in (4, 3, 2):
        found = [np.load(tmp_path / str(world) / f"{rank}.npz") for rank in range(world)]
        assert np.abs(found[0]["weights"] - expected.numpy()).max() < 1e-6
        assert all((other["weights"] == found[0]["weights"]).all() for other in found)
        assert found[0]["loss"] == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_micro_batches_are_one_batch(size: int) -> None:
    expected, loss = train([range(EXAMPLES)])
    found, cut_loss = train(halves(range(EXAMPLES), size))
    assert (found - expected).abs().max() < 1e-6
    assert cut_loss == pytest.approx(loss, abs=1e-4)


def test_a_batch_of_nothing_beside_others_changes_nothing() -> None:
    expected, _ = train([range(EXAMPLES)])
    found, _ = train([range(EXAMPLES), range(0)])
    assert (found - expected).abs().max() < 1e-6


def test_a_second_pass_has_the_dropout_of_the_first() -> None:
    """Gradients of a step of two micro-batches are autograd's over both, made with the same draws in one graph."""
    model = small_network(dropout=0.3).train()
    cuts = [examples(range(5)), examples(range(5, EXAMPLES))]
    stepper = Stepper(model, ADAM, losses=["match"], seed=SEED)
    stepper.step(4, Share(batches=cuts, num_tokens=0), {"match": EXAMPLES}, 0.0)
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    vectors: list[Tensor] = []
    for index, batch in enumerate(cuts):
        torch.manual_seed(dropout_seed(SEED, 4, 0, index))
        model(batch, lambda rows: vectors.append(rows))  # type: ignore[arg-type,func-returns-value]
    together = examples(range(EXAMPLES))
    loss = model._loss(torch.cat(vectors), together)
    (loss.sum / EXAMPLES).backward()
    assert found
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=1e-6)


def test_parts_are_losses_with_their_gradients() -> None:
    batches = [examples(range(5)), examples(range(5, EXAMPLES))]
    rows = [torch.randn(len(batch.offsets) - 1, 4) for batch in batches]
    parts = rehearse(batches, 0.1, Ranks(), lambda index: rows[index])
    leaves = [one.clone().requires_grad_() for one in rows]
    found = [part(one) for part, one in zip(parts, leaves, strict=True)]
    assert [loss.count for loss in found] == [5, 7]
    (whole,) = rehearse([examples(range(EXAMPLES))], 0.1, Ranks(), lambda index: rows[index])
    expected = whole(torch.cat(rows))
    assert sum(loss.sum.item() for loss in found) == pytest.approx(expected.sum.item())
    assert sum(loss.correct.item() for loss in found) == expected.correct.item()
    torch.stack([loss.sum for loss in found]).sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in leaves)


def test_cosines_are_exact_where_products_are_not() -> None:
    """Vectors in bfloat16 are as near as those are; their angles are not rounded once more."""
    exact, found = train([range(EXAMPLES)])[1], train([range(EXAMPLES)], precision="bfloat16")[1]
    assert found == pytest.approx(exact, rel=0.05)
