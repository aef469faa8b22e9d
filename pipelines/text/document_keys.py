"""What a document's id decides: its draws, whether it is held out, how many times it is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pipelines.text.draws import uniform

Keys = npt.NDArray[np.uint64]

SPLIT_SEED = 0x5B117
"""The split's own: it is the same for every seed of a run."""
COPIES = 0x0C0B1E5
"""Purpose of the draw of a document's last copy."""


def document_keys(ids: Iterable[int | str | bytes]) -> Keys:
    """64 bits of each id, the same everywhere and always: BLAKE2b of its text. 7 and "7" are one id."""
    digests = [hashlib.blake2b(_content(one), digest_size=8).digest() for one in ids]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def is_held_out(keys: Keys, share: float) -> npt.NDArray[np.bool_]:
    """Which documents, or groups, of these keys are held out: so large a share of all that there may be.

    A greater share holds out the same ones and others.
    """
    return uniform(SPLIT_SEED, keys) < share


def num_copies(keys: Keys, weight: float, seed: int) -> npt.NDArray[np.int64]:
    """How many times each document is taken: the weight's whole part, and once more with its fraction's probability."""
    whole = int(weight)
    return whole + (uniform(seed, COPIES, keys) < weight - whole).astype(np.int64)


def _content(one: int | str | bytes) -> bytes:
    return one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogatepass")
