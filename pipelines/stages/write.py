"""write: slices of rows -> parts, one each; what comes back is a receipt a slice."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from ray.data import Dataset

from pipelines.errors import StoreError
from pipelines.schema import HEADER, RECEIPT, SliceHeader, unfold
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.slicewise import ROW, private_bytes
from pipelines.store.location import Location
from pipelines.store.parts import PartEntry, publish


def write(
    rows: Dataset,
    output: Location,
    columns: Sequence[str],
    metadata: Mapping[str, str],
    pool: ActorPool,
    writer: type[PartWriter] | None = None,
) -> Dataset:
    """Publish each slice as one part of these columns; give back receipts (``pipelines.schema.RECEIPT``)."""
    return on_slices(rows, writer or PartWriter, pool, output=output, columns=list(columns), metadata=dict(metadata))


class PartWriter:
    """Actor that publishes slices as parts."""

    def __init__(self, output: Location, columns: list[str], metadata: dict[str, str]) -> None:
        self._output = output
        self._columns = columns
        self._metadata = metadata

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One slice in, one receipt out."""
        rows, header = unfold(batch)
        if header.error:
            return _receipt(header, part="", num_rows=0, part_bytes=0, part_version="")
        begin = time.perf_counter()
        account(header, self.num_alive(rows, header))
        ran = {f"manta.{name}": fact for name, fact in header.facts.items()}
        entry, num_rows = self.publish(rows, header, self._metadata | ran)
        stats = {"write_seconds": time.perf_counter() - begin, "write_bytes": entry.size}
        header = header.add(stats=stats | {"peak_bytes.write": private_bytes()})
        return _receipt(header, part=entry.key, num_rows=num_rows, part_bytes=entry.size, part_version=entry.version)

    def num_alive(self, rows: pa.Table, header: SliceHeader) -> int:
        """Documents that came through to here."""
        return int(pc.count_distinct(rows[ROW]).as_py()) if rows.num_rows else 0

    def publish(self, rows: pa.Table, header: SliceHeader, metadata: Mapping[str, str]) -> tuple[PartEntry, int]:
        """Publish a slice's part; give it back, and the number of its rows."""
        return publish(self._output, header, rows.select(self._columns), metadata), rows.num_rows


def account(header: SliceHeader, num_alive: int) -> None:
    """Documents in = documents out + dead letters, or the part is not written."""
    dead = len({letter.row for letter in header.dead_letters})
    if num_alive + dead != header.num_documents:
        raise StoreError(
            f"slice {header.name} of shard {header.shard}: {header.num_documents} documents went in, "
            f"{num_alive} came out and {dead} are dead letters: the part was not written; run again, and report it"
        )


def _receipt(header: SliceHeader, **values: object) -> pa.Table:
    columns = [header.to_arrow(), *(pa.array([values[name]], RECEIPT.field(name).type) for name in RECEIPT.names[1:])]
    return pa.table(columns, [HEADER, *RECEIPT.names[1:]])
