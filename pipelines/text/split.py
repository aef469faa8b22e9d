"""Which examples are held out to evaluate on: a seeded hash of the id or of the group decides, class by class.

An example's stratum is the rarest of its classes; of a number, the bin that it is in (``bins``). Within a stratum the
examples whose hash is least are held out, as many as its share is, so that one number a stratum, the threshold, tells
of each example what becomes of it. Groups go as a whole, in the stratum that most of their examples are of.

What holds when data are added: with the split that was kept (``before``) nothing that was told moves, whatever comes.
Decided anew, an example moves only where its hash lies between a stratum's old and new threshold, which is near the
share in both: about the square root of the stratum's size over its size of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.errors import StoreError
from pipelines.text.bins import Floats, in_bins
from pipelines.text.document_keys import Keys
from pipelines.text.draws import Bits, bits
from pipelines.text.ragged import Ragged
from pipelines.text.ranges import ends_of

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PURPOSE = 0x5B1174EA
"""Of the hash, so that no other draw of the same seed and key equals it."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What decides which examples of C classes are held out."""

    seed: int
    rarity: Ints  # [C], each class' place among them all, the rarest first
    thresholds: Bits  # [C + 1], below which a stratum's hashes are held out; the last: of examples without a class
    groups: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))  # [G], rising: those that were decided on
    group_is_held: Flags = field(default_factory=lambda: np.zeros(0, bool))  # [G]
    bounds: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # [C - 1], between bins of numbers

    def classes_of(self, classes: Ragged, numbers: Floats | None) -> Ragged:
        """What strata are told by: the examples' classes, or the bins of their numbers where it was made by those."""
        return classes if numbers is None or not len(self.rarity) else in_bins(numbers, self.bounds)

    def strata(self, classes: Ragged) -> Ints:
        """Stratum of each example, told by its classes."""
        return _strata(self.rarity, classes)

    def is_held_out(self, keys: Keys, strata: Ints) -> Flags:
        """Which examples, or groups, of these keys and strata are, as their hashes say."""
        return np.asarray(bits(self.seed, PURPOSE, keys) < self.thresholds[strata])

    def groups_held_out(self, groups: Keys) -> Flags:
        """Which examples are, by the keys of their groups. StoreError where one was not decided on."""
        if not len(groups):
            return np.zeros(0, bool)
        at = np.minimum(np.searchsorted(self.groups, groups), max(0, len(self.groups) - 1))
        if not len(self.groups) or np.any(self.groups[at] != groups):
            raise StoreError("there are groups that were not there when the split was made: run again")
        return self.group_is_held[at]


def split_by_id(
    keys: Keys, classes: Ragged, num_classes: int, *, share: float, seed: int, before: Split | None = None
) -> Split:
    """The split of examples with these keys of their ids. With ``before`` it is that, whatever there is now."""
    if before is not None:
        return before
    rarity = _rarity(classes, num_classes)
    strata = _strata(rarity, classes)
    hashes = bits(seed, PURPOSE, keys)
    sizes = np.bincount(strata, minlength=num_classes + 1)
    ordered = hashes[np.lexsort((hashes, strata))]
    thresholds = np.zeros(num_classes + 1, np.uint64)
    for stratum, (begin, number) in enumerate(zip(ends_of(sizes), _numbers(sizes, share), strict=False)):
        thresholds[stratum] = ordered[begin + number] if number else 0
    return Split(seed=seed, rarity=rarity, thresholds=thresholds)


def split_by_group(
    groups: Keys, classes: Ragged, num_classes: int, *, share: float, seed: int, before: Split | None = None
) -> Split:
    """The split of examples with these keys of their groups; what was decided ``before`` stays.

    In each stratum groups are held out, by their hashes, as long as that brings it nearer to its share. Where that
    holds out nothing, it is the group of the least hash.
    """
    rarity = before.rarity if before else _rarity(classes, num_classes)
    known, index = np.unique(groups, return_inverse=True)
    strata, sizes = _of_groups(index, _strata(rarity, classes), len(known), rarity)
    hashes = bits(seed, PURPOSE, known)
    thresholds = before.thresholds if before else _group_thresholds(hashes, strata, sizes, num_classes, share)
    held = np.asarray(hashes < thresholds[strata])
    if before is None and share and len(known) > 1 and not held.any():
        held[np.argmin(hashes)] = True
    if before is not None:
        known, held = _added(before, known, held)
    return Split(seed=seed, rarity=rarity, thresholds=thresholds, groups=known, group_is_held=held)


def _rarity(classes: Ragged, num_classes: int) -> Ints:
    """Place of each class, the rarest first, of equals the first."""
    rarity = np.empty(num_classes, np.int64)
    rarity[np.argsort(np.bincount(classes.values, minlength=num_classes), kind="stable")] = np.arange(num_classes)
    return rarity


def _strata(rarity: Ints, classes: Ragged) -> Ints:
    """The rarest class of each example; the number of classes where it has none."""
    found = np.full(len(classes), len(rarity))
    some = np.flatnonzero(classes.lengths)
    if len(some):
        least = np.minimum.reduceat(rarity[classes.values], classes.offsets[some])
        found[some] = np.argsort(rarity)[least]
    return found


def _numbers(sizes: Ints, share: float) -> list[int]:
    """How many of each stratum are held out: its share, what is left over to those that lost most by rounding.

    One of each stratum is kept to train on.
    """
    exact = sizes * share
    numbers = np.floor(exact).astype(np.int64)
    left = round(float(sizes.sum()) * share) - int(numbers.sum())
    numbers[np.argsort(numbers - exact, kind="stable")[: max(0, left)]] += 1
    return [int(number) for number in np.minimum(numbers, np.maximum(sizes - 1, 0))]


def _of_groups(index: Ints, strata: Ints, num_groups: int, rarity: Ints) -> tuple[Ints, Ints]:
    """Stratum of each group, the commonest of its examples', of equals the rarer; and how many examples it has."""
    num_strata = len(rarity) + 1
    pairs, counts = np.unique(index * num_strata + strata, return_counts=True)
    group, stratum = np.divmod(pairs, num_strata)
    order = np.lexsort((np.append(rarity, len(rarity))[stratum], -counts, group))
    first = order[np.unique(group[order], return_index=True)[1]]
    return stratum[first], np.bincount(index, minlength=num_groups)


def _group_thresholds(hashes: Bits, strata: Ints, sizes: Ints, num_classes: int, share: float) -> Bits:
    thresholds = np.zeros(num_classes + 1, np.uint64)
    whole = np.lexsort((hashes, strata))
    bounds = ends_of(np.bincount(strata, minlength=num_classes + 1))
    for stratum in np.unique(strata).tolist():
        ordered = whole[bounds[stratum] : bounds[stratum + 1]]
        ends = ends_of(sizes[ordered])
        number = int(np.argmin(np.abs(ends[:-1] - share * ends[-1])))  # one group at least is kept to train on
        thresholds[stratum] = hashes[ordered[number]] if number else 0
    return thresholds


def _added(before: Split, known: Keys, held: Flags) -> tuple[Keys, Flags]:
    """The groups that were decided on before, and those that are new."""
    new = ~np.isin(known, before.groups)
    groups = np.concatenate([before.groups, known[new]])
    order = np.argsort(groups)
    return groups[order], np.concatenate([before.group_is_held, held[new]])[order]
