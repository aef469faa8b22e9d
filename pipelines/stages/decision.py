"""What is decided of examples before any is made: which are held out, and which texts are on both sides.

An output keeps it in one file, which is put before the parts. Later runs go by it, so that nothing that was made moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.example_spec import ExampleSpec
from pipelines.stages.documents import GROUP
from pipelines.stages.labelled import Labelled
from pipelines.store.arrays import put_arrays, read_arrays
from pipelines.store.location import Location
from pipelines.text.bins import Floats
from pipelines.text.document_keys import Keys, document_keys
from pipelines.text.ragged import Ragged
from pipelines.text.split import Flags, Split

KEY = "_manta/split.npz"
SPLIT = ("rarity", "thresholds", "groups", "group_is_held", "bounds")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of examples, by their ids or groups, classes and texts."""

    split: Split | None = None
    """None: none of them is held out of the others."""
    twins: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Digests, rising, of texts to evaluate on that are trained on as well, where such are left out."""

    def put(self, output: Location) -> None:
        """Publish it, in place of an earlier one."""
        arrays: dict[str, npt.NDArray[Any]] = {"twins": self.twins}
        if self.split:
            arrays |= {"seed": np.array(self.split.seed)} | {name: getattr(self.split, name) for name in SPLIT}
        put_arrays(output, KEY, arrays)

    @classmethod
    def read(cls, output: Location) -> Decision | None:
        """What an output keeps; None where it keeps nothing. StoreError where it can't be read."""
        arrays = read_arrays(output, KEY)
        return None if arrays is None else cls(twins=arrays["twins"], split=_split(arrays))

    def of(self, found: Labelled, spec: ExampleSpec) -> tuple[Flags, Flags]:
        """Which documents are held out, and which are left out since their text is trained on."""
        held = self.held_out(*keys_of(found, spec), found.classes, found.numbers)
        if not len(self.twins):
            return held, np.zeros(len(held), bool)
        is_evaluated = held if self.split else np.ones(len(held), bool)
        return held, is_evaluated & np.isin(found.digests(), self.twins)

    def held_out(self, keys: Keys, groups: Keys | None, classes: Ragged, numbers: Floats | None) -> Flags:
        """Which documents are held out, by the keys of their ids and what is told of them, or by those of groups."""
        if self.split is None:
            return np.zeros(len(keys), bool)
        if groups is not None:
            return self.split.groups_held_out(groups)
        return self.split.is_held_out(keys, self.split.strata(self.split.classes_of(classes, numbers)))


def keys_of(found: Labelled, spec: ExampleSpec) -> tuple[Keys, Keys | None]:
    """Keys of the documents' ids and groups; None where the spec has no groups."""
    ids = document_keys(found.documents[spec.id].to_pylist())
    return ids, document_keys(found.documents[GROUP].to_pylist()) if spec.group else None


def _split(arrays: Mapping[str, npt.NDArray[Any]]) -> Split | None:
    if "seed" not in arrays:
        return None
    return Split(seed=int(arrays["seed"]), **{name: arrays[name] for name in SPLIT if name in arrays})
