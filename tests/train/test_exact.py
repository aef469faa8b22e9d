"""A BERT comes out the same however its training was cut, spread over workers, or interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.train.events import Evaluated, Stepped
from pipelines.train.ranks import Ranks
from tests.train.small import flat
from tests.train.small_bert import SmallBert, put_instances, small_bert
from tests.train.workers import on_workers


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of all tests here."""
    return put_instances(tmp_path_factory.mktemp("instances"))


def curves(run: SmallBert) -> list[list[float]]:
    """Losses and accuracies of all points, and of the evaluations."""
    points = [*run.of(Stepped), *run.of(Evaluated)]
    return [[*point.losses.values(), *point.accuracies.values()] for point in points]


def train(folder: Path) -> None:
    """What each worker of the test below does, with a micro-batch each: three of them begin what two go on with."""
    ranks = Ranks.joined()
    output, stop_after = {4: ("alone", None), 3: ("in turn", 3), 2: ("in turn", None)}[ranks.world]
    run = small_bert(folder.parent / "instances", folder.parent / output, ranks=ranks, stop_after=stop_after)
    run.training.run()
    np.savez(folder / f"{ranks.rank}.npz", weights=flat(run.model), curves=curves(run))


def test_workers_are_one_worker_with_micro_batches(tmp_path: Path) -> None:
    instances = put_instances(tmp_path / "instances")
    on_workers([4, 3, 2], tmp_path, train)
    one = small_bert(instances, tmp_path / "one", budget=60)
    one.training.run()
    for world in (4, 2):
        found = [np.load(tmp_path / str(world) / f"{rank}.npz") for rank in range(world)]
        assert np.abs(found[0]["weights"] - flat(one.model)).max() < 1e-6
        assert all((other["weights"] == found[0]["weights"]).all() for other in found)
    alone, three, two = (np.load(tmp_path / str(world) / "0.npz")["curves"].tolist() for world in (4, 3, 2))
    assert alone == pytest.approx(np.array(curves(one)), abs=1e-5)
    assert [*three, *two] == pytest.approx(np.array(curves(one)), abs=1e-5)


def test_micro_batches_are_one_batch(instances: Path, tmp_path: Path) -> None:
    cut, whole = (small_bert(instances, tmp_path / str(budget), budget=budget) for budget in (60, 10**6))
    cut.training.run()
    whole.training.run()
    assert np.abs(flat(cut.model) - flat(whole.model)).max() < 1e-6
    assert np.array(curves(cut)) == pytest.approx(np.array(curves(whole)), abs=1e-5)


@pytest.mark.parametrize("stop_after", [3, 5])
def test_stopped_and_resumed_is_undisturbed(instances: Path, tmp_path: Path, stop_after: int) -> None:
    """Bit by bit, with dropout, in the middle of an epoch and of a point of the curves."""
    undisturbed = small_bert(instances, tmp_path / "one", budget=60, dropout=0.1)
    undisturbed.training.run()
    first = small_bert(instances, tmp_path / "two", budget=60, dropout=0.1, stop_after=stop_after)
    assert first.training.run().stopped
    second = small_bert(instances, tmp_path / "two", budget=60, dropout=0.1)
    second.training.run()
    assert flat(second.model).tolist() == flat(undisturbed.model).tolist()
    both = SmallBert(second.model, second.training, [*first.events, *second.events])
    assert curves(both) == curves(undisturbed)


def test_it_learns(instances: Path, tmp_path: Path) -> None:
    run = small_bert(instances, tmp_path, max_steps=24, peak=3e-3)
    run.training.run()
    first, *_, last = run.of(Stepped)
    assert last.losses["mlm"] < first.losses["mlm"] - 0.1
    assert last.flops_per_second > 0
