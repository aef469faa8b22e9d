"""On real Ray: the sample that is taken here too, and what a document that kills its process does to a run."""

from __future__ import annotations

import logging
import os
import signal
import time
from functools import partial
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

from pipelines.run.ground import survey
from pipelines.run.order import Order
from pipelines.run.prospects.foresight import Foresight
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.prospects.sampled import Sampled, take_sample
from pipelines.run.prospects.sampled_apart import take_sample_apart
from pipelines.spec import EmbedSpec, EncodePool
from pipelines.stages.recipe import Recipe
from pipelines.store.output import agree
from tests.tiny import FLAT, write_shard

apart = partial(take_sample_apart, labels={})


@pytest.fixture
def found(tiny_model: Path, tmp_path: Path) -> Inventory:
    write_shard(tmp_path / "corpus/a.parquet", 1500)
    order = Order(job="embed", documents=str(tmp_path / "corpus"), output=str(tmp_path / "vectors"))
    return Inventory(survey(order, Recipe.of(EmbedSpec(model=str(tiny_model))), agree))


def asked(found: Inventory, stop: Event) -> tuple[Any, ...]:
    return found.plan.stretches, found.ground.reading, found.ground.recipe, stop


def test_it_is_the_same_sample(ray_session: None, found: Inventory) -> None:
    ours, here = apart(*asked(found, Event())), take_sample(*asked(found, Event()))
    assert ours.chunks.equals(here.chunks)
    assert (ours.num_documents, ours.places.tolist()) == (1024, here.places.tolist())


def test_a_document_that_kills_its_process_leaves_the_run_alone(
    ray_session: None, found: Inventory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def dies(*given: object) -> Sampled:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr("pipelines.run.prospects.sampled_apart.take_sample", dies)
    foresight = Foresight()
    with caplog.at_level(logging.WARNING):
        foresight.begin(found.ground, found.plan, EncodePool(device="cpu"), FLAT, apart)
        assert foresight.plan() is None
    assert "there is no plan to hold the report against: WorkerCrashedError" in caplog.text


def test_a_sample_that_is_not_wanted_any_more_is_left(
    ray_session: None, found: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*given: object) -> Sampled:
        time.sleep(600)
        raise AssertionError

    monkeypatch.setattr(
        "pipelines.run.prospects.sampled_apart.take_sample", lambda *given: hangs() if len(given) < 4 else given
    )
    stop = Event()
    Timer(1.0, stop.set).start()
    stretches, *_ = apart(*asked(found, stop))  # type: ignore[misc]
    assert stretches == ()
