"""Documents of a sample, which come from many places, as one slice; and how far a sample's sums may be off.

Row numbers say which place a document is of. All go through a stage at once, since a call costs as much as many
documents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.schema import SliceHeader
from pipelines.stages.slicewise import ROW

ROWS_A_PLACE = 2**20

Ints = npt.NDArray[np.int64]
Documents = Sequence[tuple[pa.Table, SliceHeader]]
"""Of each place its documents, and what was told of them."""


def pooled(read: Documents, num_before: int = 0, shard: str = "") -> tuple[pa.Table, SliceHeader]:
    """The documents of these places, of which there is one at least, as those of one slice of a shard.

    ``num_before`` places came before them.
    """
    tables = [_numbered(one, ROWS_A_PLACE * place) for place, (one, _) in enumerate(read, num_before)]
    header = SliceHeader(
        shard=shard, shard_id="sample", first_row=0, num_documents=sum(one.num_documents for _, one in read),
        dead_letters=tuple(letter for _, one in read for letter in one.dead_letters),
    )  # fmt: skip
    return pa.concat_tables(tables), header


def _numbered(documents: pa.Table, first: int) -> pa.Table:
    numbers = pa.array(np.arange(first, first + documents.num_rows))
    return documents.set_column(documents.column_names.index(ROW), ROW, numbers)


def by_place(documents: Ints, rows: Ints, tokens: Ints) -> Ints:
    """[places, 2]: of each place so many documents, and the tokens of what was made of its rows."""
    sums = np.bincount(rows // ROWS_A_PLACE, tokens, minlength=len(documents)).astype(np.int64)
    return np.stack([documents, sums], axis=1)


def error_of(places: Ints) -> float:
    """Half the width of the 95 % interval of tokens a document, as a share of it, by how the places differ."""
    documents, tokens = places.T
    if len(tokens) < 2 or not tokens.sum():
        return 0.0
    mean = tokens.sum() / documents.sum()
    spread = np.sum((tokens - mean * documents) ** 2) * len(tokens) / (len(tokens) - 1)
    return float(1.96 * np.sqrt(spread) / tokens.sum())
