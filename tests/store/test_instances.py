"""Committed instances, as training finds them: parts by the manifest, what was held out beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SpecError
from pipelines.instances import INSTANCES
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import SliceHeader
from pipelines.spec import EmbedSpec, Slicing
from pipelines.store.instances import InstanceOutput, InstancePart
from pipelines.store.lease import hold
from pipelines.store.location import Location
from pipelines.store.manifest import PARTS, KnownShard, Manifest, commit
from pipelines.store.models import ModelReference
from pipelines.store.output import OutputSpec, claim
from pipelines.store.parts import publish

TOKENIZER = ModelReference(reference="t", resolved="/t", kind="folder", hash="ab" * 32, what="tokenizer")
FACTS = {"manta.objective": "mlm+nsp", "manta.max_seqlen": "8"}


def instances(ids: Sequence[int]) -> pa.Table:
    """Instances of the documents of these ids, each [2, 5, 3, 6, 3]."""
    values = [ids, [[2, 5, 3, 6, 3]] * len(ids), [3] * len(ids), [0] * len(ids), [5] * len(ids)]
    return pa.table(values, schema=pa.schema([pa.field("id", pa.int64()), *INSTANCES]))


def write_instances(
    output: Location, parts: Sequence[tuple[Sequence[int], Sequence[int]]], spec: PrepareSpec | None = None
) -> None:
    """An output of one shard, as a run of prepare leaves it: of each slice the ids to train on, and those held out."""
    made_by = spec or PrepareSpec(tokenizer="t", max_seqlen=8)
    claim(output, OutputSpec.of(made_by, TOKENIZER, Slicing(max_rows=4), {"id_name": "id", "types": {"id": "int64"}}))
    rows = []
    for number, (train, held_out) in enumerate(parts):
        header = SliceHeader(shard="a.parquet", shard_id="00000000000000aa", first_row=4 * number, num_documents=4)
        entry = publish(output, header, instances(train), FACTS, held_out=instances(held_out), group_rows=2)
        rows.append((entry.shard_id, entry.key, 4 * number, 4, len(train), 0, entry.size, entry.version))
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=PARTS)
    shard = KnownShard(name="a.parquet", shard_id="00000000000000aa", size=1, version="1", num_rows=4 * len(parts))
    with hold(output, "run1", print) as lease:
        commit(output, Manifest().know([shard], "run1").add(table, "run1"), lease, FACTS)


def test_committed_parts_are_told_and_what_was_held_out(output: Location) -> None:
    write_instances(output, [([1, 2, 3], []), ([], [4]), ([5], [6, 7])])
    header = SliceHeader(shard="b.parquet", shard_id="00000000000000bb", first_row=0, num_documents=1)
    publish(output, header, instances([9]), {}, held_out=instances([9]))  # not committed
    found = InstanceOutput.open(output.uri, output.storage)
    keys = [f"00000000000000aa/{first}-4.parquet" for first in (0, 4, 8)]
    assert [part.key for part in found.parts] == [f"parts/{key}" for key in keys]
    assert [part.held_out for part in found.parts] == ["", *(f"held_out/{key}" for key in keys[1:])]
    sizes = [len(output.read(f"parts/{key}")) for key in keys]
    assert found.parts[0] == InstancePart(
        key=f"parts/{keys[0]}", shard="a.parquet", num_rows=3, size=sizes[0], held_out=""
    )
    assert (found.num_rows, found.metadata, found.tokenizer) == (4, FACTS, TOKENIZER)
    assert (found.spec.spec["objective"], found.spec.spec["max_seqlen"]) == ("mlm+nsp", 8)


def test_row_groups_are_as_small_as_asked(output: Location) -> None:
    write_instances(output, [([1, 2, 3], [4, 5, 6, 7, 8])])
    (part,) = InstanceOutput.open(output.uri, output.storage).parts
    files = [pq.ParquetFile(pa.BufferReader(output.read(key))) for key in (part.key, part.held_out)]
    groups = [[f.metadata.row_group(n).num_rows for n in range(f.metadata.num_row_groups)] for f in files]
    assert groups == [[2, 1], [2, 2, 1]]
    assert [f.metadata.metadata[b"num_rows"] for f in files] == [b"3", b"5"]
    assert files[1].read()["id"].to_pylist() == [4, 5, 6, 7, 8]


def test_what_is_no_output_of_prepare_is_refused(output: Location) -> None:
    with pytest.raises(SpecError, match="holds no committed instances"):
        InstanceOutput.open(output.uri, output.storage)
    model = replace(TOKENIZER, what="model")
    claim(output, OutputSpec.of(EmbedSpec(model="m"), model, Slicing(), {"id_name": "id", "types": {"id": "int64"}}))
    with hold(output, "run1", print) as lease:
        commit(output, Manifest(), lease, {})
    with pytest.raises(SpecError, match="results of another job"):
        InstanceOutput.open(output.uri, output.storage)
