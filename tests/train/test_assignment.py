from __future__ import annotations

from pathlib import Path

from pipelines.spec import Storage
from pipelines.store.models import identify
from pipelines.train.assignment import Beginning


def test_a_beginning_is_the_same_wherever_it_is_opened(tiny_model: Path) -> None:
    config = {"model_type": "bert", "hidden_size": 32}
    preset = Beginning(name="bert-tiny", config=config, hash="ab").architecture(Storage())
    assert (preset.name, preset.config, preset.checkpoint) == ("bert-tiny", config, None)
    model = identify(str(tiny_model))
    going_on = Beginning(name="m", config=config, hash=model.hash, model=model).architecture(Storage())
    assert going_on.checkpoint is not None
    assert going_on.checkpoint.path == tiny_model
