from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.model.conftest import save


@pytest.fixture(scope="session")
def masked_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny masked language model that transformers loads as well, with a tokenizer that names its mask."""
    folder = save(tmp_path_factory.mktemp("masked") / "model", "Bert", kind="ForMaskedLM")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "[MASK]"}))
    return folder
