"""write instances: slices of instances -> parts to train on, and files of held-out instances beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from ray.data import Dataset

from pipelines.errors import StoreError
from pipelines.instances import INSTANCES, ROW_GROUP
from pipelines.schema import SliceHeader
from pipelines.stages.actors import ActorPool
from pipelines.stages.documents import DocumentColumns
from pipelines.stages.instances import IS_HELD_OUT
from pipelines.stages.write import PartWriter, write
from pipelines.store.location import Location
from pipelines.store.parts import PartEntry, publish


def write_instances(
    instances: Dataset, output: Location, columns: DocumentColumns, metadata: Mapping[str, str], pool: ActorPool
) -> Dataset:
    """Publish each slice as one part and, where some of it is held out, a file of that; give back receipts."""
    return write(instances, output, part_columns(columns), metadata, pool, InstanceWriter)


def part_columns(columns: DocumentColumns) -> Sequence[str]:
    """Columns of the parts: what is carried of a document, and the contract's."""
    return [*columns.carried, *INSTANCES.names]


class InstanceWriter(PartWriter):
    """Actor that publishes slices of instances. A document may have none, so that both are accounted by count."""

    def num_alive(self, rows: pa.Table, header: SliceHeader) -> int:
        """Documents whose instances these are, or that yielded none. StoreError where instances are missing."""
        made = header.stats.get("instances.train", 0) + header.stats.get("instances.held_out", 0)
        if made != rows.num_rows:
            raise StoreError(
                f"slice {header.name} of shard {header.shard}: {made:g} instances were made and {rows.num_rows} came "
                "here: the part was not written; run again, and report it"
            )
        return int(header.stats.get("instances.documents", 0))

    def publish(self, rows: pa.Table, header: SliceHeader, metadata: Mapping[str, str]) -> tuple[PartEntry, int]:
        """See ``PartWriter``: the rows of a part are those to train on."""
        is_held, table = rows[IS_HELD_OUT], rows.select(self._columns)
        train, held_out = table.filter(pc.invert(is_held)), table.filter(is_held)
        told = {**metadata, "manta.num_held_out": str(held_out.num_rows)}
        entry = publish(self._output, header, train, told, held_out=held_out, group_rows=ROW_GROUP)
        return entry, train.num_rows
