"""digests: whole shards -> 64 bits of each row's text, published for the driver to find copies by."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipelines.schema import unfold
from pipelines.stages.documents import TEXT, values_of
from pipelines.stages.read import Reading, Stretch, slices_of
from pipelines.stages.slicewise import ROW
from pipelines.store.copies import digests_key, put_array
from pipelines.store.location import Location
from pipelines.text.document_keys import Keys, document_keys
from pipelines.text.draws import bits

NOBODYS = 0xA10E
"""Purpose of the numbers of rows that have no text to be compared."""


def put_digests(shards: Iterable[Stretch], reading: Reading, output: Location) -> None:
    """Publish the digests of these shards, each a stretch from its first row to its last. Done again, they are equal.

    StoreError where the world fails; a shard that breaks has digests that equal nobody's from there on.
    """
    for shard in shards:
        put_array(output, digests_key(shard.shard.shard_id), digests_of(shard, reading))


def digests_of(shard: Stretch, reading: Reading) -> Keys:
    """uint64[num_rows] of a shard, read as its instances will be.

    Equal for equal texts (columns joined, lists sentence by sentence). Rows that are no documents, or whose text is
    blank or can't be read, have numbers that equal nobody's but by chance: they make no instances.
    """
    digests = bits(NOBODYS, int(shard.shard.shard_id, 16), np.arange(shard.stop_row))
    for batch in slices_of([shard], reading):
        documents, header = unfold(batch)
        if header.error:
            break
        contents = [content(value) for value in values_of(documents[TEXT])]
        rows = documents[ROW].to_numpy()[[bool(one) for one in contents]]
        digests[rows] = document_keys(filter(None, contents))
    return digests


def content(value: str | list[str | None] | bool | None) -> str:
    """What of a text, or of a list of sentences, is compared; "" where there is nothing to compare."""
    if isinstance(value, list):
        sentences = [one for one in value if one is not None]
        whole = len(sentences) == len(value) and any(one.strip() for one in sentences)
        return "".join(f"{len(one)}:{one}" for one in sentences) if whole else ""
    return value if isinstance(value, str) and value.strip() else ""
