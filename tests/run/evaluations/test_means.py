from __future__ import annotations

from typing import Any

from pipelines.run.evaluations.means import Means
from pipelines.spec import EncodePool


def test_means_are_pools_and_two_ways_to_ray() -> None:
    asked: list[Any] = []
    means = Means(begin=lambda run, **pools: asked.append((run, pools)), join=lambda: asked.append("join"))  # type: ignore[arg-type, return-value]
    means.begin("a run", cpu=means.cpu, gpu=means.gpu)
    means.join()
    assert asked == [("a run", {"cpu": means.cpu, "gpu": EncodePool()}), "join"]
