"""Steps of several workers are those of one, and what is seeded is seeded by its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.train.events import Evaluated, Stepped
from pipelines.train.ranks import Ranks
from pipelines.train.source import Share
from pipelines.train.step import NotFinite, Stepper, dropout_seed
from tests.train.small import ADAM, SmallBatch, SmallModel, SmallSource, flat, small
from tests.train.workers import on_workers

LOSSES = ("words", "classes")


def train(folder: Path) -> None:
    """What each worker of the test below does."""
    ranks = Ranks.joined()
    run = small(folder / "output", ranks=ranks)
    run.training.run()
    curves = [row.losses for row in (*run.of(Stepped), *run.of(Evaluated))]
    np.savez(folder / f"{ranks.rank}.npz", weights=flat(run.model), losses=[list(row.values()) for row in curves])


def test_workers_with_a_micro_batch_each_are_one_with_all_of_them(tmp_path: Path) -> None:
    on_workers([2], tmp_path, train)
    one = small(tmp_path / "one", source=SmallSource(micro=6))
    one.training.run()
    first, second = (np.load(tmp_path / "2" / f"{rank}.npz") for rank in range(2))
    assert np.abs(first["weights"] - flat(one.model)).max() < 1e-6
    assert (second["weights"] == first["weights"]).all()
    expected = [list(row.losses.values()) for row in (*one.of(Stepped), *one.of(Evaluated))]
    assert first["losses"] == pytest.approx(np.array(expected), abs=1e-6)
    assert second["losses"].size == 0  # the first one tells


def share(*numbers: int, poison: bool = False) -> Share:
    return Share(batches=[SmallBatch([number], poison) for number in numbers], num_tokens=len(numbers))


def test_a_loss_that_nothing_is_told_of_moves_nothing() -> None:
    """Instance 3 tells no word and no class: but for the decay of the weights nothing happens."""
    model = SmallModel()
    before = model.classes.bias.detach().clone()
    stepper = Stepper(model, ADAM, losses=LOSSES)
    stepper.step(0, share(3), {"words": 0, "classes": 0}, 0.1)
    assert torch.equal(model.classes.bias, before)
    assert stepper.not_finite() is None
    sums, norm = stepper.taken()
    assert (sums, norm) == ([0.0] * 4, 0.0)


def test_sums_are_of_all_micro_batches_since_they_were_taken() -> None:
    model = SmallModel()
    stepper = Stepper(model, ADAM, losses=LOSSES)
    expected = sum(model(SmallBatch([number]))["words"].sum.item() for number in (1, 2, 4))
    stepper.step(0, share(1, 2, 4), {"words": 4, "classes": 2}, 0.0)
    assert stepper.taken()[0][0] == pytest.approx(expected)
    assert stepper.taken()[0] == [0.0] * 4


def test_a_loss_counts_by_its_weight() -> None:
    """With weight 0 the other loss alone moves the weights: as if nothing was told of this one."""
    models = [SmallModel(), SmallModel()]
    Stepper(models[0], ADAM, losses=LOSSES, loss_weights={"classes": 0.0}).step(
        0, share(2), {"words": 2, "classes": 1}, 0.1
    )
    Stepper(models[1], ADAM, losses=LOSSES).step(0, share(2), {"words": 2, "classes": 0}, 0.1)
    assert flat(models[0]).tolist() == flat(models[1]).tolist() != flat(SmallModel()).tolist()


def test_dropout_is_of_the_step_and_the_place_in_it_alone() -> None:
    seeds = {dropout_seed(*keys) for keys in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    weights = []
    for disturbance in range(2):
        model = SmallModel(dropout=0.5)
        torch.manual_seed(disturbance)
        Stepper(model, ADAM, losses=LOSSES, seed=4).step(7, share(1, 2), {"words": 3, "classes": 1}, 0.1)
        weights.append(flat(model).tolist())
    assert weights[0] == weights[1]


def test_the_first_step_that_went_wrong_is_noted() -> None:
    stepper = Stepper(SmallModel(), ADAM, losses=LOSSES)
    stepper.step(0, share(2), {"words": 2, "classes": 1}, 0.1)
    assert stepper.not_finite() is None
    stepper.step(1, share(2, 5, poison=True), {"words": 4, "classes": 1}, 0.1)
    stepper.step(2, share(2), {"words": 2, "classes": 1}, 0.1)  # its weights are no numbers any more
    assert stepper.not_finite() == NotFinite(1, 1)


def test_products_are_in_the_precision_asked_for() -> None:
    model = SmallModel()
    seen = []
    model.inner.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    Stepper(model, ADAM, losses=LOSSES, precision="bfloat16").step(0, share(2), {"words": 2, "classes": 1}, 0.1)
    assert set(seen) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
