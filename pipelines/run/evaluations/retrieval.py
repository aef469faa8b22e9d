"""An embedding model on queries, documents and judgments: how well it finds what is relevant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations.embedding import embedded, unit
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation
from pipelines.run.evaluations.similarity import Embed
from pipelines.spec import EmbedSpec, Storage, refuse
from pipelines.store.shards import list_shards, open_shard
from pipelines.train.scores.retrieval import Judged, rank_scores
from pipelines.train.scores.score_pictures import draw_ranks
from pipelines.train.scores.search import Vectors, ranks

QUERIES, DOCUMENTS = "_manta/queries", "_manta/documents"
"""Folders of the output that hold their vectors."""


@dataclass(frozen=True, kw_only=True)
class Judgments:
    """R judgments by which a document is relevant to a query; ids as text."""

    queries: list[str]
    documents: list[str]
    gain: npt.NDArray[np.float64]  # [R]


def evaluate_retrieval(
    order: EvaluationOrder, spec: EvaluationSpec, side: EmbedSpec, query_prompt: str, embed: Embed
) -> Evaluation:
    """Metrics of retrieval, and how recall grows with rank; ``side`` is how a text is embedded, its columns left open.

    SpecError where nothing that is judged is among the queries.
    """
    judgments = read_judgments(order.qrels, spec, order.storage)
    of_queries = replace(side, text=spec.query_text, id=spec.query_id, separator=spec.separator, prompt=query_prompt)
    embed(order.of_texts("queries", QUERIES), of_queries)
    of_documents = replace(side, text=spec.document_text, id=spec.document_id, separator=spec.separator)
    embed(order.of_texts("documents", DOCUMENTS), of_documents)
    is_cosine = spec.similarity == "cosine"
    query_ids, queries = _queries(order, judgments, is_cosine)
    judged, num_documents, num_missing = _judged(order, judgments, query_ids, queries, is_cosine)
    num_left_out = len(set(judgments.queries)) - len(query_ids)
    notes = [f"{num_left_out:,} judged queries are not among the queries"] if num_left_out else []
    notes += [f"{num_missing:,} relevant documents are not among the documents: not found"] if num_missing else []
    metrics = rank_scores(judged, sorted(spec.ks))
    return Evaluation(
        task="retrieval",
        metrics=metrics,
        counts={"queries": len(query_ids), "documents": num_documents, "relevant": len(judged.rank)},
        notes=tuple(notes),
        pictures={"retrieval.png": draw_ranks(judged, metrics, title=order.model)},
    )


def read_judgments(qrels: str | list[str], spec: EvaluationSpec, storage: Storage = Storage()) -> Judgments:
    """The judgments of Parquet files that say what is relevant; SpecError where they have not the columns."""
    names = [spec.judged_query, spec.judged_document, *([spec.relevance] if spec.relevance else [])]
    tables = []
    for shard in list_shards(qrels, storage):
        with open_shard(shard, storage) as file:
            have = file.schema_arrow.names
            if missing := [name for name in names if name not in have]:
                raise SpecError(
                    f"{shard.name} has no column {missing[0]!r} (its columns: {', '.join(have)}): name those of the "
                    "judgments by spec.judged_query, spec.judged_document and spec.relevance"
                )
            tables.append(file.read(columns=names).select(names))
    columns = [pa.concat_arrays([chunk for table in tables for chunk in table[name].chunks]) for name in names]
    gain = _gains(columns[2], spec) if spec.relevance else np.ones(len(columns[0]))
    known = (gain > 0) & ~np.any([column.is_null().to_numpy(zero_copy_only=False) for column in columns], axis=0)
    if not known.any():
        raise SpecError(f"none of the {len(gain)} judgments says that a document is relevant: check spec.relevance")
    queries, documents = (_texts(column.filter(pa.array(known))) for column in columns[:2])
    return Judgments(queries=queries, documents=documents, gain=gain[known])


def _gains(column: pa.Array, spec: EvaluationSpec) -> npt.NDArray[np.float64]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        refuse(spec, "relevance", f"that column is {column.type}: name one of numbers")
    return np.asarray(column.cast(pa.float64()).fill_null(0.0).to_numpy(), np.float64)


def _texts(ids: pa.Array) -> list[str]:
    return [str(one) for one in ids.to_pylist()]


def _queries(order: EvaluationOrder, judgments: Judgments, is_cosine: bool) -> tuple[dict[str, int], Vectors]:
    """Number of each judged query by its id, and their vectors."""
    judged, numbers, kept = set(judgments.queries), dict[str, int](), []
    for ids, vectors in embedded(order.place(QUERIES), order.storage):
        for name, vector in zip(map(str, ids), vectors, strict=True):
            if name in judged and name not in numbers:
                numbers[name] = len(numbers)
                kept.append(vector)
    if not kept:
        raise SpecError(
            f"none of the {len(judged)} queries that are judged is among the queries: check spec.query_id and "
            "spec.judged_query"
        )
    return numbers, unit(np.stack(kept)) if is_cosine else np.stack(kept)


def _judged(
    order: EvaluationOrder, judgments: Judgments, query_ids: dict[str, int], queries: Vectors, is_cosine: bool
) -> tuple[Judged, int, int]:
    """The ranks of what is relevant, how many documents there are, and how many relevant ones are not there."""
    rows = [row for row, name in enumerate(judgments.queries) if name in query_ids]
    places, num_documents = _places(order, {judgments.documents[row] for row in rows})
    query = np.array([query_ids[judgments.queries[row]] for row in rows])
    place = np.array([places.get(judgments.documents[row], -1) for row in rows])

    def blocks() -> Iterator[Vectors]:
        for _, vectors in embedded(order.place(DOCUMENTS), order.storage):
            yield unit(vectors) if is_cosine else vectors

    rank = ranks(queries, blocks, query, place)
    return Judged(query=query, rank=rank, gain=judgments.gain[rows]), num_documents, int((place < 0).sum())


def _places(order: EvaluationOrder, wanted: set[str]) -> tuple[dict[str, int], int]:
    """Where documents of these ids are among all of them, the first of each; and how many there are."""
    places: dict[str, int] = {}
    begin = 0
    for ids, _ in embedded(order.place(DOCUMENTS), order.storage):
        for offset, name in enumerate(map(str, ids)):
            if name in wanted:
                places.setdefault(name, begin + offset)
        begin += len(ids)
    return places, begin
