"""A folder that holds a tokenizer, whatever else it holds: a model's, or one with the tokenizer's files alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import SpecError
from pipelines.model.folder import TRANSFORMER_CONFIGS

WORDPIECE, WORDPIECE_FAMILY = "vocab.txt", "bert"
"""A list of WordPiece tokens, and whose it is where no config tells."""


@dataclass(frozen=True, kw_only=True)
class PlainFolder:
    """Where a tokenizer's files are, and what stands beside them: see ``tokenizer_files.TokenizerFolder``."""

    network_path: Path
    lowercase: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    model_type: str = ""


def read_tokenizer_folder(path: Path) -> PlainFolder:
    """What the folder says. SpecError where it is none, or a file in it is no JSON."""
    if not path.is_dir():
        raise SpecError(f"{path} is no folder: name one that holds a tokenizer (tokenizer.json)")
    modules = _json(path / "modules.json", [])
    inside = path / modules[0]["path"] if modules else path
    own: dict[str, Any] = next((found for name in TRANSFORMER_CONFIGS if (found := _json(inside / name, {}))), {})
    config = _json(inside / "config.json", {})
    return PlainFolder(
        network_path=inside,
        lowercase=bool(own.get("do_lower_case", False)),
        config=config,
        model_type=str(config.get("model_type") or (WORDPIECE_FAMILY if (inside / WORDPIECE).exists() else "")),
    )


def _json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else default
    except ValueError as error:
        raise SpecError(f"{path} is no JSON ({error}): fetch the folder again") from error
