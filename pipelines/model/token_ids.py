"""The tokens that a tokenizer knows and their ids, whatever folder it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.model.folder import read_folder
from pipelines.model.tokenizer_files import TokenizerFolder, load_tokenizer, named_token

PADS = ("[PAD]", "<pad>")
"""What padding is called where the tokenizer's configuration does not say."""


@dataclass(frozen=True, kw_only=True)
class TokenIds:
    """Ids by token. ``path`` is the folder that a message names."""

    path: Path
    ids: Mapping[str, int]
    pad_id: int | None  # None: there is no such token

    @property
    def size(self) -> int:
        """How many ids a network has to know."""
        return max(self.ids.values()) + 1

    def difference(self, other: TokenIds) -> str:
        """A token that is another id in the other tokenizer, or in one of the two alone; "" where there is none."""
        differing = self.ids.items() ^ other.ids.items()
        return min(differing, key=lambda item: (item[1], item[0]))[0] if differing else ""


@dataclass(frozen=True)
class _BareFolder:
    """A folder that holds a tokenizer and no network: of which family is for the tokenizer's own files to tell."""

    network_path: Path
    lowercase: bool = False
    model_type: str = ""

    @property
    def config(self) -> Mapping[str, Any]:
        return {"model_type": self.model_type}


def tokenizer_folder(path: Path) -> TokenizerFolder:
    """A folder that holds a tokenizer, with a model or without."""
    is_model = (path / "config.json").exists() or (path / "modules.json").exists()
    return read_folder(path) if is_model else _BareFolder(path)


def read_token_ids(path: Path, *, trust_remote_code: bool = False) -> TokenIds:
    """Of a folder with a tokenizer, such as a model's. SpecError where there is none that loads."""
    folder = tokenizer_folder(path)
    ids = load_tokenizer(folder, trust_remote_code=trust_remote_code).get_vocab()
    pads = (named_token(folder, "pad_token"), *PADS)
    return TokenIds(path=path, ids=ids, pad_id=next((ids[token] for token in pads if token in ids), None))
