"""What a manifest says of an output, row by row; and the outputs that the tests of joins are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.schema import DeadLetter, SliceHeader
from pipelines.spec import EmbedSpec, Slicing
from pipelines.store.committed import CommittedOutput, CommittedPart
from pipelines.store.lease import hold
from pipelines.store.location import Location
from pipelines.store.manifest import PARTS, KnownShard, Manifest, commit
from pipelines.store.models import ModelReference
from pipelines.store.output import OutputSpec, claim
from pipelines.store.parts import PartEntry, publish

SHARD = "00000000000000aa"
MODEL = ModelReference(reference="m", resolved="/m", kind="folder", hash="ab" * 32)


def write_output(
    output: Location,
    make: Callable[[range], dict[str, list[object]]],
    *,
    max_rows: int,
    num_rows: int = 6,
    dead: Collection[int] = (),
    shard_id: str = SHARD,
    id_name: str = "id",
    passthrough: Collection[str] = (),
) -> list[PartEntry]:
    """An output of one shard, cut into slices of so many rows, as a run leaves it.

    ``make`` gives the columns of some rows; among them "row", which says whose each is, and is not written.
    """
    types = dict.fromkeys([id_name, *passthrough], "int64")
    spec = OutputSpec.of(EmbedSpec(model="m"), MODEL, Slicing(max_rows=max_rows), {"id_name": id_name, "types": types})
    claim(output, spec)
    entries, counts = [], []
    for first in range(0, num_rows, max_rows):
        rows = range(first, min(first + max_rows, num_rows))
        letters = tuple(DeadLetter(row=row, stage="read", reason="the text is null") for row in rows if row in dead)
        header = SliceHeader(
            shard="a.parquet", shard_id=shard_id, first_row=first, num_documents=len(rows), dead_letters=letters
        )
        table = pa.table(make(rows))
        table = table.filter(~np.isin(table["row"].to_numpy(), list(dead))).drop_columns(["row"])
        entries.append(publish(output, header, table, {}))
        counts.append((len(rows), table.num_rows, len(letters)))
    values = [
        (e.shard_id, e.key, e.first_row, *count, e.size, e.version) for e, count in zip(entries, counts, strict=True)
    ]
    parts = pa.table([list(column) for column in zip(*values, strict=True)], schema=PARTS)
    shard = KnownShard(name="a.parquet", shard_id=shard_id, size=1, version="1", num_rows=num_rows)
    with hold(output, "run1", print) as lease:
        commit(output, Manifest().know([shard], "run1").add(parts, "run1"), lease, {})
    return entries


def vectors(rows: range) -> dict[str, list[object]]:
    return {"row": [*rows], "id": [100 + row for row in rows], "embedding": [[row, 0.5] for row in rows]}


def chunks(rows: range) -> dict[str, list[object]]:
    """Two chunks of each odd row, one of each even."""
    pairs = [(row, chunk) for row in rows for chunk in range(1 + row % 2)]
    return {
        "row": [row for row, _ in pairs],
        "id": [100 + row for row, _ in pairs],
        "embedding": [[row, chunk] for row, chunk in pairs],
        "chunk_index": [chunk for _, chunk in pairs],
        "char_start": [10 * chunk for _, chunk in pairs],
        "char_end": [10 * chunk + 9 for _, chunk in pairs],
    }


def test_parts_are_told_by_shard_and_in_order(output: Location) -> None:
    write_output(output, vectors, max_rows=4, dead={1, 5}, passthrough=["year"])
    found = CommittedOutput.open(output.uri, output.storage)
    assert (found.id_name, found.passthrough) == ("id", {"year"})
    assert found.parts == {
        SHARD: [
            CommittedPart(key=f"parts/{SHARD}/0-4.parquet", first_row=0, num_documents=4, num_dead_letters=1),
            CommittedPart(key=f"parts/{SHARD}/4-2.parquet", first_row=4, num_documents=2, num_dead_letters=1),
        ]
    }
    assert [found.documents(part).tolist() for part in found.parts[SHARD]] == [[0, 2, 3], [4]]
    assert [part.stop_row for part in found.parts[SHARD]] == [4, 6]


def test_rows_of_a_part_know_their_documents(output: Location) -> None:
    write_output(output, chunks, max_rows=6, dead={1})
    found = CommittedOutput.open(output.uri, output.storage)
    (part,) = found.parts[SHARD]
    table, rows = found.read(part)
    assert rows.tolist() == [0, 2, 3, 3, 4, 5, 5]
    assert table["id"].to_pylist() == [100, 102, 103, 103, 104, 105, 105]


def test_what_is_not_what_the_manifest_says_is_refused(output: Location) -> None:
    (entry,) = write_output(output, vectors, max_rows=6)
    found = CommittedOutput.open(output.uri, output.storage)
    (part,) = found.parts[SHARD]
    with pytest.raises(StoreError, match=r"0-6\.parquet is not what the manifest says it is: wait for the run"):
        found.read(replace(part, num_documents=5))
    output.remove([entry.key])
    with pytest.raises(StoreError, match="is not what the manifest says it is"):
        found.read(part)


def test_what_holds_no_committed_output_is_refused(output: Location) -> None:
    with pytest.raises(SpecError, match="holds no committed output: name one, after a run"):
        CommittedOutput.open(output.uri, output.storage)
