"""The special tokens that a tokenizer puts around a text, and around and between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from pipelines.errors import SpecError
from pipelines.model.tokens import Ids


@dataclass(frozen=True)
class SpecialTokens:
    """Special tokens around a text, and around and between two; none of them where the tokenizer puts none there."""

    before: Ids
    after: Ids
    between: Ids
    end: Ids  # after the second
    has_types: bool  # whether the second text's tokens are of a type of their own

    @property
    def num_single(self) -> int:
        """Those of a text that stands alone."""
        return len(self.before) + len(self.after)

    @property
    def num_pair(self) -> int:
        """Those of two texts."""
        return len(self.before) + len(self.between) + len(self.end)


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """What the tokenizer puts around a text and between two; ids that are the text's own are told by "a".

    SpecError where it changes a text's own ids when it adds them.
    """
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    before, after = _around(tokenizer.encode("a", add_special_tokens=True).ids, bare)
    pair = tokenizer.encode("a", "a", add_special_tokens=True)
    between, end = _around(pair.ids[len(before) + len(bare) :], bare)
    return SpecialTokens(before, after, between, end, any(pair.type_ids))


def _around(ids: list[int], bare: list[int]) -> tuple[Ids, Ids]:
    """What stands before and after a text's own ids."""
    for start in range(len(ids) - len(bare) + 1):
        if ids[start : start + len(bare)] == bare:
            return np.array(ids[:start], np.int32), np.array(ids[start + len(bare) :], np.int32)
    raise SpecError("the tokenizer changes a text's own tokens when it adds special ones: choose another model")
