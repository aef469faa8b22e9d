"""Predictions as Arrow columns, a value a chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.model.found import (
    Classified,
    Filled,
    Followed,
    FollowedSentences,
    Perplexities,
    TokenEmbeddings,
    Vectors,
)
from pipelines.model.inputs import Inputs
from pipelines.predict_spec import PredictSpec
from pipelines.schema import FILLING, NEXT_SENTENCE, PSEUDO_PERPLEXITY, token_embeddings_type, vectors_to_arrow
from pipelines.stages.classified import classify_column

TOO_SHORT = "fewer than two tokens to score"


def columns_of(output: str, found: Any, inputs: Inputs, spec: PredictSpec) -> dict[str, pa.Array]:
    """The columns of an output, by their names (``output_columns``), a value a chunk."""
    match found:
        case Filled():
            return {"fill_mask": fillings_column(found), "filled": filled_column(found)}
        case Perplexities():
            scores = {"token_log_probs": scores_column(found, inputs.offsets)} if spec.token_log_probs else {}
            return {"pseudo_perplexity": perplexity_column(found), **scores}
        case Vectors():
            return {output: vectors_to_arrow(found.vectors, pa.float32())}
        case TokenEmbeddings():
            return {output: token_embeddings_column(found, inputs.offsets)}
        case Classified():
            column = classify_column(
                found.labels, found.logits, inputs, aggregation=spec.aggregation,
                max_answer_tokens=spec.max_answer_tokens, cls_id=found.cls_id,
            )  # fmt: skip
            return {output: column}
        case Followed():
            return {output: pa.array(found.probabilities, pa.float32())}
        case FollowedSentences():
            return {"next_sentences": sentences_column(found)}
    raise TypeError(f"{output} has no column for {type(found).__name__}")


def fillings_column(filled: Filled) -> pa.Array:
    """list<FILLING>: of each chunk, in the order of its masks; empty where it has none."""
    num_masks, k = filled.ids.shape
    values = {
        "position": pa.array(filled.positions, pa.int32()),
        "tokens": _lists(pa.array(filled.tokens, pa.string()), num_masks, k),
        "ids": _lists(pa.array(filled.ids.ravel(), pa.int32()), num_masks, k),
        "log_probs": _lists(pa.array(filled.log_probs.ravel(), pa.float32()), num_masks, k),
    }
    fillings = pa.StructArray.from_arrays([values[field.name] for field in FILLING], fields=list(FILLING))
    return pa.ListArray.from_arrays(_offsets(filled.counts), fillings)


def filled_column(filled: Filled) -> pa.Array:
    """Each chunk's text with the likeliest filling of each mask; null where it has no mask."""
    return pa.array(np.array(filled.texts, object), pa.large_string(), mask=filled.counts == 0)


def perplexity_column(found: Perplexities) -> pa.Array:
    """PSEUDO_PERPLEXITY of each chunk; without log_prob and perplexity, and with the reason, where it is too short."""
    perplexity = found.perplexity
    short = np.isnan(perplexity)
    values = {
        "log_prob": pa.array(found.log_prob, pa.float64(), mask=short),
        "num_scored": pa.array(found.num_scored, pa.int32()),
        "perplexity": pa.array(perplexity, pa.float64(), mask=short),
        "reason": pa.array(np.full(len(short), TOO_SHORT, object), pa.string(), mask=~short),
    }
    return pa.StructArray.from_arrays(
        [values[field.name] for field in PSEUDO_PERPLEXITY], fields=list(PSEUDO_PERPLEXITY)
    )


def scores_column(found: Perplexities, offsets: npt.NDArray[np.int64]) -> pa.Array:
    """list<float32>: of each chunk the log-probability of each token, null where it is not scored."""
    scores = pa.array(found.token_log_probs, pa.float32(), mask=np.isnan(found.token_log_probs))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), scores)


def token_embeddings_column(found: TokenEmbeddings, offsets: npt.NDArray[np.int64]) -> pa.Array:
    """``token_embeddings_type`` of each chunk."""
    kind = token_embeddings_type(found.vectors.shape[1])
    ends = pa.array(offsets, pa.int32())
    outside = found.chars[:, 0] < 0
    places = [pa.array(found.chars[:, side], pa.int32(), mask=outside) for side in (0, 1)]
    lists = [
        pa.ListArray.from_arrays(ends, values) for values in (vectors_to_arrow(found.vectors, pa.float16()), *places)
    ]
    return pa.StructArray.from_arrays(lists, fields=list(kind))


def sentences_column(found: FollowedSentences) -> pa.Array:
    """list<NEXT_SENTENCE>: of each document's sentences but the first; empty where there is but one."""
    pairs = found.pairs
    values = [
        pa.array(pairs.char_start, pa.int64()),
        pa.array(pairs.char_end, pa.int64()),
        pa.array(found.probabilities, pa.float32()),
    ]
    sentences = pa.StructArray.from_arrays(values, fields=list(NEXT_SENTENCE))
    return pa.ListArray.from_arrays(_offsets(pairs.counts), sentences)


def _lists(values: pa.Array, count: int, length: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * length, pa.int32()), values)


def _offsets(counts: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
