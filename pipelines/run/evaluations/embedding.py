"""Texts embedded for an evaluation: a run over a corpus like that of jobs.embed, and its vectors read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.run.evaluations.means import Means
from pipelines.run.order import Order
from pipelines.run.quantizer import quantizer_for
from pipelines.run.report import Report
from pipelines.run.trunk import open_run
from pipelines.schema import EMBEDDING, vectors_to_numpy
from pipelines.spec import EmbedSpec, Storage
from pipelines.stages.encode import encode, part_columns
from pipelines.stages.read import read
from pipelines.stages.recipe import Recipe
from pipelines.stages.tokenize import tokenize
from pipelines.stages.write import write
from pipelines.store.committed import CommittedOutput


def embed(order: Order, spec: EmbedSpec, means: Means) -> Report:
    """Embed what an order names into its output, or what is left of it. ShardError where that goes wrong wholesale."""
    with open_run(order, recipe := Recipe.of(spec, order.storage, means.user_code)) as run:
        if run.plan.stretches:
            pools = means.begin(run, cpu=means.cpu, gpu=means.gpu)
            texts = read(run.plan.stretches, run.reading, **pools.read)
            chunks = tokenize(texts, recipe, pools.tokenize)
            quantizer = quantizer_for(run, means.gpu, pools)
            vectors = encode(
                chunks, recipe, means.gpu, pools.encode, num_threads=pools.num_threads, quantizer=quantizer
            )
            columns = part_columns(run.ground.columns, recipe.spec)
            run.follow(write(vectors, run.output, columns, run.metadata, pools.write), pools.placement)
        return run.finish()


def embedded(output: str, storage: Storage = Storage()) -> Iterator[tuple[list[Any], npt.NDArray[np.float32]]]:
    """Ids and vectors [n, D] of an output's rows, part by part, in the order of the corpus."""
    found = CommittedOutput.open(output, storage)
    for parts in found.parts.values():
        for part in parts:
            table, _ = found.read(part)
            if table.num_rows:
                yield table[found.id_name].to_pylist(), vectors_to_numpy(table[EMBEDDING])


def unit(vectors_nd: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors scaled to length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors_nd, axis=-1, keepdims=True)
    return np.asarray(vectors_nd / np.where(lengths > 0, lengths, 1), np.float32)
