"""An output as its manifest has it, row by row: which part holds which documents of which shard.

The documents of a part are known without their ids: the rows of its slice, in order, less the dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import SpecError, StoreError
from pipelines.schema import CHUNK_FIELDS
from pipelines.spec import Storage
from pipelines.store.location import Location, locate
from pipelines.store.manifest import read_manifest
from pipelines.store.output import read_spec
from pipelines.store.parts import read_dead_letters

Rows = npt.NDArray[np.int64]
CHUNKS = tuple(name for name, _ in CHUNK_FIELDS)


@dataclass(frozen=True, kw_only=True)
class CommittedPart:
    """A part as the manifest has it: the rows first_row .. stop_row of a shard."""

    key: str
    first_row: int
    num_documents: int
    num_dead_letters: int

    @property
    def stop_row(self) -> int:
        """The row after its last."""
        return self.first_row + self.num_documents


@dataclass(frozen=True, kw_only=True)
class CommittedOutput:
    """The committed parts of an output by shard_id, each shard's in order."""

    location: Location
    id_name: str
    passthrough: frozenset[str]
    parts: Mapping[str, Sequence[CommittedPart]]

    @classmethod
    def open(cls, uri: str, storage: Storage = Storage()) -> CommittedOutput:
        """The output at a path or URI. SpecError where no run has committed anything there."""
        location = locate(uri, storage)
        spec, manifest = read_spec(location), read_manifest(location)
        if spec is None or manifest.version is None:
            raise SpecError(f"{location} holds no committed output: name one, after a run of it came to its end")
        parts: dict[str, list[CommittedPart]] = {}
        for row in manifest.live_parts().sort_by([("shard", "ascending"), ("first_row", "ascending")]).to_pylist():
            part = CommittedPart(
                key=row["part"],
                first_row=row["first_row"],
                num_documents=row["num_documents"],
                num_dead_letters=row["num_dead_letters"],
            )
            parts.setdefault(row["shard_id"], []).append(part)
        id_name = spec.columns["id_name"]
        passthrough = frozenset(spec.columns["types"]) - {id_name}
        return cls(location=location, id_name=id_name, passthrough=passthrough, parts=parts)

    def documents(self, part: CommittedPart) -> Rows:
        """Row numbers of the documents that a part has a result of, in order."""
        rows = np.arange(part.first_row, part.stop_row)
        if not part.num_dead_letters:
            return rows
        dead = read_dead_letters(self.location, [part.key])["row"].to_numpy()
        return rows[~np.isin(rows, dead)]

    def read(self, part: CommittedPart) -> tuple[pa.Table, Rows]:
        """The part, and of each of its rows (documents, or chunks of them) the row number of the document.

        StoreError where the part is gone, or is not the one that the manifest was of: a run is at work there.
        """
        table, rows = self.read_noted(part)
        return table.replace_schema_metadata(None), rows

    def read_noted(self, part: CommittedPart) -> tuple[pa.Table, Rows]:
        """The same, and with the table what its footer says (``table.schema.metadata``)."""
        documents = self.documents(part)
        try:
            table = pq.read_table(pa.BufferReader(self.location.read(part.key)))
        except FileNotFoundError:
            raise self._changed(part) from None
        begins = np.ones(table.num_rows, bool)
        if CHUNKS[0] in table.column_names:
            begins = table[CHUNKS[0]].to_numpy() == 0
        if begins.sum() != len(documents):
            raise self._changed(part)
        return table, documents[np.cumsum(begins) - 1]

    def _changed(self, part: CommittedPart) -> StoreError:
        return StoreError(
            f"{self.location.join(part.key)} is not what the manifest says it is: wait for the run that is at work "
            "there, or run it again, and then try again"
        )
