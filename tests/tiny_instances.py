"""Instances in the vocabulary of the tiny model, as a run of prepare would have left them, and configs to train on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.instances import INSTANCES
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import SliceHeader
from pipelines.spec import Slicing
from pipelines.store.lease import hold
from pipelines.store.location import Location, locate
from pipelines.store.manifest import PARTS, KnownShard, Manifest, commit
from pipelines.store.models import identify
from pipelines.store.output import OutputSpec, claim
from pipelines.store.parts import publish
from tests.tiny import VOCABULARY

SPECIAL = 5
"""The vocabulary begins with so many special tokens; [CLS] is 2, [SEP] is 3."""
SHARD, RUN = "00000000000000aa", "run1"
MAX_SEQLEN = 32


def prepare(
    folder: Path, tokenizer: Path, *, parts: Sequence[int] = (40, 24), held_out: int = 12, **fields: Any
) -> Path:
    """An output of prepare with so many instances in each part, in row groups of 8, the last with some held out."""
    prepare_at(locate(str(folder)), tokenizer, parts=parts, held_out=held_out, **fields)
    return folder


def prepare_at(output: Location, tokenizer: Path, *, parts: Sequence[int], held_out: int, **fields: Any) -> None:
    """The same wherever it is."""
    reference = identify(str(tokenizer), what="tokenizer")
    spec = PrepareSpec(tokenizer=str(tokenizer), max_seqlen=MAX_SEQLEN, **fields)
    claim(output, OutputSpec.of(spec, reference, Slicing(max_rows=4), {"id_name": "id", "types": {"id": "int64"}}))
    rows = []
    for number, count in enumerate(parts):
        header = SliceHeader(shard="a.parquet", shard_id=SHARD, first_row=4 * number, num_documents=4)
        beside = instances(held_out, seed=99) if held_out and number == len(parts) - 1 else None
        entry = publish(output, header, instances(count, seed=number), {}, held_out=beside, group_rows=8)
        rows.append((entry.shard_id, entry.key, 4 * number, 4, count, 0, entry.size, entry.version))
    _commit(output, pa.table([list(column) for column in zip(*rows, strict=True)], schema=PARTS))


def instances(num: int, seed: int = 0) -> pa.Table:
    """Pairs of segments of words that follow on each other: the second goes on where the first ends, or elsewhere."""
    rng = np.random.default_rng(seed)
    words = len(VOCABULARY) - SPECIAL
    rows = []
    for number in range(num):
        first, second = (int(length) for length in rng.integers(3, 13, 2))
        start, random = int(rng.integers(words)), int(rng.integers(2))
        other = int(rng.integers(words)) if random else start + first
        a, b = (SPECIAL + (np.arange(n) + at) % words for n, at in ((first, start), (second, other)))
        ids = [2, *a.tolist(), 3, *b.tolist(), 3]
        rows.append((number, ids, first + 2, random, len(ids)))
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 5
    return pa.table(columns, schema=pa.schema([pa.field("id", pa.int64()), *INSTANCES]))


def _commit(output: Location, parts: pa.Table) -> None:
    shard = KnownShard(name="a.parquet", shard_id=SHARD, size=1, version="1", num_rows=4 * parts.num_rows)
    with hold(output, RUN, print) as lease:
        commit(output, Manifest().know([shard], RUN).add(parts, RUN), lease, {})


def write_config(path: Path, **fields: Any) -> Path:
    """A config.json of a BERT of 2 layers x 32 over the tiny vocabulary."""
    config = {
        "model_type": "bert", "vocab_size": len(VOCABULARY), "pad_token_id": 0, "hidden_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 64,
        "type_vocab_size": 2, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    }  # fmt: skip
    path.write_text(json.dumps(config | fields))
    return path
