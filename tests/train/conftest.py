from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_instances import prepare, write_config


@pytest.fixture(scope="session")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Instances over the tiny model's vocabulary, one output a session."""
    return prepare(tmp_path_factory.mktemp("prepared") / "instances", tiny_model)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small BERT without dropout."""
    return write_config(tmp_path / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
