"""The tokenizer of a model's folder, as the tokenizers library runs it, and what its files name special tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers

from pipelines.errors import SpecError


class TokenizerFolder(Protocol):
    """A folder that holds a tokenizer, such as a ``ModelFolder``."""

    @property
    def network_path(self) -> Path:
        """Where the tokenizer's files are."""

    @property
    def lowercase(self) -> bool:
        """Whether text is put into lower case first, whatever the tokenizer does itself."""

    @property
    def config(self) -> Mapping[str, Any]:
        """What config.json says."""

    @property
    def model_type(self) -> str:
        """The family that it names."""


def load_tokenizer(folder: TokenizerFolder, *, trust_remote_code: bool = False) -> Tokenizer:
    """The folder's tokenizer, which neither truncates nor pads. SpecError where there is none that loads."""
    path = folder.network_path / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path)) if path.exists() else _convert(folder, trust_remote_code)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if folder.lowercase:
        normalizer = tokenizer.normalizer
        tokenizer.normalizer = Normalizers([Lowercase(), *([normalizer] if normalizer else [])])
    return tokenizer


def named_token(folder: TokenizerFolder, role: str) -> str:
    """A special token as the tokenizer's configuration names it; "" where it names none."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = folder.network_path / name
        found = json.loads(path.read_text(encoding="utf-8")).get(role) if path.exists() else None
        if found:
            return str(found["content"] if isinstance(found, dict) else found)
    return ""


def _convert(folder: TokenizerFolder, trust_remote_code: bool) -> Tokenizer:
    """The tokenizer that transformers makes from older files (vocab.txt, sentencepiece)."""
    from transformers import AutoConfig, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # what old configs lack is no fault of the reader's
    # A config that names no family does not tell transformers which tokenizer the files are for.
    is_untold = bool(folder.model_type) and "model_type" not in folder.config
    config = AutoConfig.for_model(folder.model_type, **folder.config) if is_untold else None
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.network_path, config=config, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, ImportError) as error:
        raise SpecError(f"{folder.network_path} has no tokenizer that loads ({error}): add tokenizer.json") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise SpecError(f"{folder.network_path} has a tokenizer written in Python alone: add tokenizer.json")
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # what transformers makes of a folder without any such file
        raise SpecError(f"{folder.network_path} has no tokenizer (nor a vocabulary for one): add tokenizer.json")
    return Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
