"""What training is to know of a tokenizer's ids: which are special, which go on a word, the mask, the sentinels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from pipelines.model.tokenizer_files import TokenizerFolder, load_tokenizer, named_token
from pipelines.text.masking import Vocabulary

MASKS = ("[MASK]", "<mask>")
"""What the mask is called where nobody says."""
SENTINEL = "<extra_id_{}>"
"""What T5 calls its sentinels, from 0."""
WORD_STARTS = {"ByteLevel": "Ġ", "Metaspace": "▁"}
"""How a token begins that begins a word, by the component of the tokenizer that puts it there."""


def read_vocabulary(folder: TokenizerFolder, *, trust_remote_code: bool = False) -> Vocabulary:
    """The ids of a folder's tokenizer. SpecError where there is none that loads."""
    return vocabulary_of(
        load_tokenizer(folder, trust_remote_code=trust_remote_code),
        mask_token=named_token(folder, "mask_token"),
        unknown_token=named_token(folder, "unk_token"),
    )


def vocabulary_of(tokenizer: Tokenizer, *, mask_token: str = "", unknown_token: str = "") -> Vocabulary:
    """The tokenizer's ids. ``mask_token`` and ``unknown_token`` are what its configuration names, "" where it doesn't.

    An id that no token has counts as special. Words are told by "##" (or what else continues a word of a WordPiece),
    by "Ġ" and by "▁"; where a tokenizer has none of these, each token is a word.
    """
    tokens = {number: token for token, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    size = max(tokens, default=-1) + 1
    unknown = _first_id(tokenizer, unknown_token or str(getattr(tokenizer.model, "unk_token", None) or ""))
    special = np.ones(size, bool)
    special[list(tokens)] = False
    special[[n for n, token in tokenizer.get_added_tokens_decoder().items() if token.special and n != unknown]] = True
    mask = _first_id(tokenizer, mask_token, *MASKS)
    special[[] if mask is None else [mask]] = True
    return Vocabulary(
        special=special,
        continues=_continues(tokenizer, tokens, size) & ~special,
        mask_id=mask,
        unknown_id=unknown,
        sentinel_ids=_sentinels(tokenizer),
    )


def _first_id(tokenizer: Tokenizer, *tokens: str) -> int | None:
    """The id of the first of these tokens that there is."""
    return next((n for token in tokens if token and (n := tokenizer.token_to_id(token)) is not None), None)


def _sentinels(tokenizer: Tokenizer) -> tuple[int, ...]:
    found: list[int] = []
    while (number := tokenizer.token_to_id(SENTINEL.format(len(found)))) is not None:
        found.append(number)
    return tuple(found)


def _continues(tokenizer: Tokenizer, tokens: dict[int, str], size: int) -> npt.NDArray[np.bool_]:
    """Which ids go on the word of the token before them."""
    told = json.loads(tokenizer.to_str())
    prefix = told["model"].get("continuing_subword_prefix") or ""
    kinds = _kinds([told.get("pre_tokenizer"), told.get("decoder")])
    start = next((mark for kind, mark in WORD_STARTS.items() if kind in kinds), "")
    continues = np.zeros(size, bool)
    if prefix:
        continues[[n for n, token in tokens.items() if token.startswith(prefix)]] = True
    elif start:
        added = tokenizer.get_added_tokens_decoder()
        continues[[n for n, token in tokens.items() if not token.startswith(start) and n not in added]] = True
    return continues


def _kinds(component: Any) -> set[str]:
    """Types of a component of a tokenizer and of all that it is made of."""
    if isinstance(component, list):
        return set().union(*map(_kinds, component))
    if not isinstance(component, dict):
        return set()
    parts = [value for value in component.values() if isinstance(value, list)]
    return {component.get("type", "")} | _kinds([part for value in parts for part in value])
