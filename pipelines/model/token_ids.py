"""The tokens that a tokenizer knows and their ids, whatever folder it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.model.tokenizer_files import load_tokenizer, named_token
from pipelines.model.tokenizer_folder import read_tokenizer_folder

PADS = ("[PAD]", "<pad>")
"""What padding is called where the tokenizer's configuration does not say."""

ENDS = {"bos": "cls", "eos": "sep", "cls": "bos", "sep": "eos"}
"""What begins or ends a text, and what does so where a tokenizer names no such token."""


@dataclass(frozen=True, kw_only=True)
class TokenIds:
    """Ids by token. ``path`` is the folder that a message names."""

    path: Path
    ids: Mapping[str, int]
    pad_id: int | None  # None: there is no such token
    ends: Mapping[str, int] = field(default_factory=dict)  # by the fields of a config, of what begins and ends a text

    @property
    def size(self) -> int:
        """How many ids a network has to know."""
        return max(self.ids.values()) + 1

    def difference(self, other: TokenIds) -> str:
        """A token that is another id in the other tokenizer, or in one of the two alone; "" where there is none."""
        differing = self.ids.items() ^ other.ids.items()
        return min(differing, key=lambda item: (item[1], item[0]))[0] if differing else ""


def read_token_ids(path: Path, *, trust_remote_code: bool = False) -> TokenIds:
    """Of a folder with a tokenizer, such as a model's. SpecError where there is none that loads."""
    folder = read_tokenizer_folder(path)
    ids = load_tokenizer(folder, trust_remote_code=trust_remote_code).get_vocab()
    named = {role: named_token(folder, f"{role}_token") for role in ("pad", *ENDS)}
    ends = {f"{role}_token_id": _first(ids, named[role], named[like]) for role, like in ENDS.items()}
    return TokenIds(
        path=path,
        ids=ids,
        pad_id=_first(ids, named["pad"], *PADS),
        ends={name: number for name, number in ends.items() if number is not None},
    )


def _first(ids: Mapping[str, int], *tokens: str) -> int | None:
    return next((ids[token] for token in tokens if token in ids), None)
