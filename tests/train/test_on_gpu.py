"""The loop on a GPU, where there is one: the same losses as on a CPU, and a run that goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipelines.train.events import Evaluated, Stepped
from tests.train.small_bert import SmallBert, put_instances, small_bert

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of all tests here."""
    return put_instances(tmp_path_factory.mktemp("instances"))


def losses(*runs: SmallBert) -> list[float]:
    """Of all points, and of the evaluations."""
    points = [*(p for run in runs for p in run.of(Stepped)), *(p for run in runs for p in run.of(Evaluated))]
    return [loss for point in points for loss in point.losses.values()]


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_losses_are_those_of_a_cpu(instances: Path, tmp_path: Path, packed: bool) -> None:
    """Padded in float32; packed rows are for half precision."""
    precision = "bfloat16" if packed else "float32"
    cpu = small_bert(instances, tmp_path / "cpu", peak=1e-3)
    gpu = small_bert(instances, tmp_path / "gpu", peak=1e-3, device="cuda", packed=packed, precision=precision)
    cpu.training.run()
    gpu.training.run()
    assert gpu.model.path == ("packed" if packed else "padded")
    assert losses(gpu) == pytest.approx(losses(cpu), abs=3e-2 if packed else 1e-3)


def test_stopped_and_resumed_is_undisturbed(instances: Path, tmp_path: Path) -> None:
    """With dropout. Sums on a GPU may be added up in another order each time."""
    undisturbed = small_bert(instances, tmp_path / "one", budget=60, dropout=0.1, device="cuda")
    undisturbed.training.run()
    first = small_bert(instances, tmp_path / "two", budget=60, dropout=0.1, device="cuda", stop_after=5)
    assert first.training.run().stopped
    second = small_bert(instances, tmp_path / "two", budget=60, dropout=0.1, device="cuda")
    second.training.run()
    assert losses(first, second) == pytest.approx(losses(undisturbed), abs=1e-4)


def test_a_step_waits_for_nothing(instances: Path, tmp_path: Path) -> None:
    """torch tells where the processor waits for the GPU: nowhere but at the points of the curves."""
    run = small_bert(instances, tmp_path, device="cuda", max_steps=3)
    stepper, source = run.training._stepper, run.training._source
    shares = source.steps(0, 16, 0, 1)
    warm, share = next(shares), next(shares)
    counts = {name: share.count(name) for name in source.losses}
    stepper.step(0, warm, {name: warm.count(name) for name in source.losses}, 1e-4)
    torch.cuda.set_sync_debug_mode("error")
    try:
        stepper.step(1, share, counts, 1e-4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    shares.close()
    assert stepper.not_finite() is None
