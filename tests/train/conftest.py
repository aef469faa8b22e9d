"""What the tests of training share: instances of the tiny model's, and one thread.

Networks here are so small that two threads would wait for each other longer than they work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny_instances import prepare, write_config


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread of torch's as long as a test runs; other tests get theirs back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Instances over the tiny model's vocabulary, one output a session."""
    return prepare(tmp_path_factory.mktemp("prepared") / "instances", tiny_model)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small BERT without dropout."""
    return write_config(tmp_path / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
