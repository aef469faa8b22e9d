"""Dynamic masking: which tokens of an instance are to be told, and what the network sees in their place.

The recipe is BERT's (Devlin et al. 2019, arXiv:1810.04805, section 3.1, and google-research/bert,
create_pretraining_data.py, for whole words): of the tokens to be told 80 % are masked, 10 % are replaced by any
ordinary token, 10 % stay. What is drawn is a function of seed, epoch, instance and place: any rank, order or restart
draws the same, and each epoch anew (RoBERTa, Liu et al. 2019, arXiv:1907.11692, section 4.1).

How many are told: of n maskable tokens share * n, rounded up or down by chance so that the share is exact on average,
and at least one. The tokens (or whole words) of an instance are put in an order of their own, each of length 1 (or of
as many tokens as the word has), and those are told that lie before the mark share * n; the one that the mark goes
through is told with the probability of its share before the mark. So the count, which decides how much work an instance
is, hardly varies; every token has the same chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.text.draws import below, bits, shuffled, uniform
from pipelines.text.pack import gathered
from pipelines.text.training_batch import Instances

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MASKED, REPLACED = 0.8, 0.1
"""Share of the told tokens that is masked, and that is replaced."""

MASKING = 0x6D61736B
"""Key of all draws here, so that they are not those made elsewhere of the same seed."""
ORDER, MARK, FATE, OTHER = range(4)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What training is to know of V token ids. None and none: the tokenizer has no such token."""

    special: Bools  # [V], never masked, never put in
    continues: Bools  # [V], whether it belongs to the word of the token before it
    mask_id: int | None = None
    unknown_id: int | None = None  # may be masked, is never put in
    sentinel_ids: tuple[int, ...] = ()  # <extra_id_0> and so on

    @property
    def ordinary(self) -> Ints:
        """Ids that may be put in place of a token."""
        may = ~self.special
        if self.unknown_id is not None:
            may[self.unknown_id] = False
        return np.flatnonzero(may)


@dataclass(frozen=True, kw_only=True)
class Masked:
    """Token ids as the network sees them, and the M that it is to tell."""

    values: npt.NDArray[np.int32]  # [T]
    positions: Ints  # [M], flat, rising
    targets: Ints  # [M], what stood there


def mask(
    instances: Instances, vocabulary: Vocabulary, *, seed: int, share: float = 0.15, whole_words: bool = False
) -> Masked:
    """The instances with some of their tokens hidden. ``share`` of the tokens that are not special is to be told.

    An instance that has only special tokens has none to tell. The vocabulary has a mask_id.
    """
    owner = np.repeat(np.arange(len(instances)), instances.lengths)
    keys = instance_keys(instances, seed, MASKING)
    firsts, sizes = _units(instances, vocabulary, owner, whole_words)
    told = _told(firsts, sizes, owner[firsts], share, keys, firsts - instances.offsets[:-1][owner[firsts]])
    positions = gathered(firsts[told], sizes[told])
    places = positions - instances.offsets[:-1][owner[positions]]
    targets = instances.values[positions].astype(np.int64)
    values = instances.values.copy()
    values[positions] = _seen(targets, vocabulary, keys[owner[positions]], places)
    return Masked(values=values, positions=positions, targets=targets)


def instance_keys(instances: Instances, seed: int, purpose: int) -> npt.NDArray[np.uint64]:
    """A key [n] for the draws of each instance: of its number and epoch, not of where it stands in the batch."""
    return bits(seed, purpose, instances.epoch, instances.number)


def _units(instances: Instances, vocabulary: Vocabulary, owner: Ints, whole_words: bool) -> tuple[Ints, Ints]:
    """Flat place of the first token of each token or word that may be masked, and how many tokens it has."""
    maskable = ~vocabulary.special[instances.values]
    begins = maskable
    if whole_words:
        goes_on = vocabulary.continues[instances.values]
        goes_on[1:] &= maskable[:-1] & (owner[1:] == owner[:-1])
        goes_on[:1] = False
        begins = maskable & ~goes_on
    firsts = np.flatnonzero(begins)
    ends = np.cumsum(maskable)
    return firsts, np.diff(np.append(ends[firsts] - 1, ends[-1:]))


def _told(firsts: Ints, sizes: Ints, owner: Ints, share: float, keys: npt.NDArray[np.uint64], places: Ints) -> Bools:
    """Which units are to be told."""
    counts = np.bincount(owner, sizes, minlength=len(keys))
    order = shuffled(bits(ORDER, keys[owner], places), owner)
    ordered, of = sizes[order], owner[order]  # `of` is `owner` itself, which rises
    before = np.cumsum(ordered) - ordered - (np.cumsum(counts) - counts)[of]
    covered = (np.maximum(share * counts, 1)[of] - before) / ordered
    told = np.empty(len(firsts), bool)
    told[order] = (before == 0) | (uniform(MARK, keys[of]) < covered)
    return told


def _seen(targets: Ints, vocabulary: Vocabulary, keys: npt.NDArray[np.uint64], places: Ints) -> npt.NDArray[Any]:
    """What stands in place of the tokens that are to be told."""
    assert vocabulary.mask_id is not None
    fate = uniform(FATE, keys, places)
    ordinary = vocabulary.ordinary
    others = ordinary[below(len(ordinary), OTHER, keys, places)]
    return np.where(fate < MASKED, vocabulary.mask_id, np.where(fate < MASKED + REPLACED, others, targets))
