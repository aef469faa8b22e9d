"""A sample of a corpus: runs of a few documents from places all over it. Pure arithmetic over the footers' row counts.

The rows of all shards are laid end to end and cut into strata of equal size, and from each comes one run at a place
drawn by the seed. Runs, since a document alone costs a request and the decoding of its row group as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pipelines.spec import Calibration
from pipelines.stages.read import Stretch
from pipelines.store.shards import Shard

RUN = 8
"""Documents of a run."""


def sample(shards: Iterable[tuple[Shard, int]], asked: Calibration, run: int = RUN) -> list[Stretch]:
    """Stretches of about ``asked.num_documents`` rows of these shards, each with its number of rows; all of a few.

    ``run`` rows come from one place.
    """
    whole = [Stretch(shard=shard, first_row=0, stop_row=num_rows) for shard, num_rows in shards]
    return sample_of(whole, asked.num_documents, asked.seed, run)


def sample_of(stretches: Sequence[Stretch], num_documents: int, seed: int, run: int = RUN) -> list[Stretch]:
    """The same of the rows of these stretches."""
    bounds = np.cumsum([0, *(one.num_documents for one in stretches)]).tolist()
    return [
        replace(one, first_row=one.first_row + max(first - begin, 0), stop_row=one.first_row + min(stop, end) - begin)
        for first, stop in places(bounds[-1], num_documents, seed, run)
        for one, begin, end in zip(stretches, bounds, bounds[1:], strict=False)
        if first < end and stop > begin
    ]


def places(num_rows: int, num_documents: int, seed: int, run: int = RUN) -> list[tuple[int, int]]:
    """(first, stop) of runs within 0..num_rows, in order and apart, of ``num_documents`` rows at most."""
    if num_rows <= num_documents:
        return [(0, num_rows)] if num_rows else []
    rng = np.random.Generator(np.random.Philox(seed))
    num_places = -(-num_documents // run)
    found = []
    for number in range(num_places):
        begin, end = (num_rows * n // num_places for n in (number, number + 1))
        size = num_documents * (number + 1) // num_places - num_documents * number // num_places
        first = begin + int(rng.integers(max(0, end - begin - size) + 1))
        found.append((first, min(first + size, end)))
    return found
