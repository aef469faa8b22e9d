"""An embedding model on pairs that people have scored: how far its cosines go with the scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations.embedding import unit
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation
from pipelines.run.order import Order
from pipelines.schema import EMBEDDING, vectors_to_numpy
from pipelines.spec import EmbedSpec, refuse
from pipelines.store.join import JoinedOutputs
from pipelines.store.shards import Footer, list_shards, read_footers
from pipelines.train.scores.score_pictures import draw_values
from pipelines.train.scores.values import correlations

FIRST, SECOND = "_manta/first", "_manta/second"
"""Folders of the output that hold the vectors of the pairs' first and second texts."""
LABEL = "score"
FOOTER_THREADS = 64
Embed = Callable[[Order, EmbedSpec], object]
"""Runs over the texts of an order."""


def evaluate_pairs(order: EvaluationOrder, spec: EvaluationSpec, side: EmbedSpec, embed: Embed) -> Evaluation:
    """Metrics and the plot of scored pairs; ``side`` is how a text is embedded, its columns left open.

    SpecError where no column of second texts is named, or the scores are no numbers.
    """
    if not spec.pairs:
        refuse(spec, "text_pair", "pairs need a second text: name its column, and that of the score as label")
    label = LABEL if spec.label == "auto" else spec.label
    check_columns(order, spec, label)
    for texts, place in ((spec.texts, FIRST), (spec.pairs, SECOND)):
        columns = replace(side, text=texts, separator=spec.separator, id=spec.id, passthrough=[label])
        embed(order.of_texts("data", place), columns)
    told, right, num_missing = cosines([order.place(FIRST), order.place(SECOND)], label, spec, order)
    metrics = {name: value for name, value in correlations(told, right).items() if not np.isnan(value)}
    notes = [] if len(metrics) > 1 else ["no correlation: all scores, or all cosines, are the same"]
    notes += [f"{num_missing:,} pairs are left out: a text, or the score, is missing or broken"] if num_missing else []
    return Evaluation(
        task="similarity",
        metrics=metrics,
        counts={"pairs": len(told)},
        notes=tuple(notes),
        pictures={"scores.png": draw_values(told, right, metrics, names=(_of_vectors(spec), label))},
    )


def check_columns(order: EvaluationOrder, spec: EvaluationSpec, label: str) -> None:
    """SpecError where no shard has the columns that the spec names, or the first that does has scores of no number."""
    shards = list_shards(order.data, order.storage)
    found = read_footers(shards, order.storage, FOOTER_THREADS)
    schemas = [(shard, one.schema) for shard in shards if isinstance(one := found[shard.shard_id], Footer)]
    wanted = {*spec.texts, *spec.pairs, label}
    fitting = [(shard, schema) for shard, schema in schemas if wanted <= set(schema.names)]
    for shard, schema in (fitting or schemas)[:1]:
        for field, names in (("text", spec.texts), ("text_pair", spec.pairs), ("label", [label])):
            for name in names:
                if name not in schema.names:
                    raise SpecError(
                        f"{shard.name} of --data has no column {name!r} (its columns: {', '.join(schema.names)}): name "
                        f"another by --spec.{field}"
                    )
        check_scores(schema.field(label).type, label)


def cosines(
    outputs: Sequence[str], label: str, spec: EvaluationSpec, order: EvaluationOrder
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Products (cosines, but for similarity "dot") and scores of the pairs, and how many pairs are left out."""
    joined = JoinedOutputs(outputs, order.storage)
    told, right, num_null = [np.empty(0)], [np.empty(0)], 0
    for table in joined:
        scores = _numbers(table[label], label)
        first, second = (vectors_to_numpy(table[name]) for name in (EMBEDDING, f"{EMBEDDING}_2"))
        if spec.similarity == "cosine":
            first, second = unit(first), unit(second)
        known = ~np.isnan(scores)
        told.append((first * second).sum(-1, dtype=np.float64)[known])
        right.append(scores[known])
        num_null += int((~known).sum())
    return np.concatenate(told), np.concatenate(right), num_null + sum(joined.missing.values())


def check_scores(kind: pa.DataType, name: str) -> None:
    """SpecError where a column of this type holds no scores."""
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SpecError(f"column {name!r} is {kind}, and the score of a pair is a number: name it by --spec.label")


def _of_vectors(spec: EvaluationSpec) -> str:
    return "cosine" if spec.similarity == "cosine" else "product"


def _numbers(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    """Scores, NaN where there is none."""
    check_scores(column.type, name)
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
