"""What a conversion stands on: the files, and the columns that they have, looked up in their beginnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import ShardError, SpecError
from pipelines.fingerprint import fingerprint
from pipelines.run.ground import refuse_overlap
from pipelines.run.order import Order
from pipelines.spec import Storage
from pipelines.stages.convert import Conversion
from pipelines.stages.record_columns import RecordColumns, columns_of, schema_of
from pipelines.stages.records import Record, records
from pipelines.store.conversion import claim, read_columns
from pipelines.store.location import locate
from pipelines.store.output import KEY, expand
from pipelines.store.sources import Source, list_sources, open_source, read_batches

MOST_FILES = 100
SAMPLE_BYTES = 4 * 2**20
"""What is looked at of each of so many files, for names and types of columns."""
THREADS = 16


@dataclass(frozen=True, kw_only=True)
class ConvertGround:
    """What was found before anything starts."""

    order: Order
    sources: tuple[Source, ...]
    conversion: Conversion

    @property
    def local_inputs(self) -> list[str]:
        """Paths of the sources that are on a disk."""
        named = self.order.documents
        places = [locate(name, self.order.storage) for name in ([named] if isinstance(named, str) else named)]
        return [place.path for place in places if place.is_local]

    @property
    def local_files(self) -> list[str]:
        """The same, and a file of the output."""
        there = self.conversion.output.join(KEY)
        return [*self.local_inputs, *([there.path] if there.is_local else [])]


def survey_files(order: Order, spec: ConvertSpec) -> ConvertGround:
    """List the files, open the output, and agree with it; a new output is claimed.

    Raises SpecError where files or output can't be reached or columns don't go together, FingerprintError where
    another spec decided the output.
    """
    sources = list_sources(order.documents, order.storage)
    output = locate(expand(order.output, fingerprint(spec, "")), order.storage)
    refuse_overlap(order, [source.file for source in sources], output, "0.parquet")
    output.check_output()
    facts = read_columns(output, spec)
    if facts is None:
        columns = columns_of(look(sources, spec, order.storage), spec)
        claim(output, spec, columns.facts())
    else:
        columns = RecordColumns.from_facts(facts)
    told = {"manta.job": order.job, "manta.fingerprint": fingerprint(spec, ""), "manta.ids": columns.ids}
    conversion = Conversion(spec=spec, columns=columns, output=output, metadata=told, storage=order.storage)
    return ConvertGround(order=order, sources=tuple(sources), conversion=conversion)


def look(sources: Sequence[Source], spec: ConvertSpec, storage: Storage) -> Mapping[str, pa.Schema]:
    """Schemas by name of up to 100 files from all over the sources. SpecError where none holds anything."""
    some = [source for source in sources if source.file.size]
    some = [some[place * len(some) // MOST_FILES] for place in range(MOST_FILES)] if len(some) > MOST_FILES else some
    with ThreadPoolExecutor(THREADS, "look") as pool:
        found = list(pool.map(lambda source: _schema(source, spec, storage), some))
    schemas = {
        source.file.name: schema for source, schema in zip(some, found, strict=True) if isinstance(schema, pa.Schema)
    }
    if not schemas:
        why = next((f"; the first: {error}" for error in found if error), "")
        raise SpecError(f"none of {len(sources)} files holds a document{why}")
    return schemas


def _schema(source: Source, spec: ConvertSpec, storage: Storage) -> pa.Schema | ShardError | None:
    """Of what a file begins with; None where it holds nothing, ShardError where it can't be read."""
    name = source.file.name
    try:
        with open_source(source, storage) as reader:
            if source.format == ".arrow":
                return read_batches(reader).schema
            first = list(_beginning(records(reader, source.format, name, spec)))
    except ShardError as error:
        return error
    return schema_of(first, name, spec) if first else None


def _beginning(found: Iterator[Record]) -> Iterator[Record]:
    num_bytes = 0
    for record in found:
        if not record.reason:
            yield record
        num_bytes += record.num_bytes
        if num_bytes > SAMPLE_BYTES:
            return
