"""A masked language model's predictions as Arrow columns, a value a chunk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.model.loop import Chunks
from pipelines.model.predictor import Filled, Perplexities
from pipelines.schema import FILLING, PSEUDO_PERPLEXITY
from pipelines.spec import PredictSpec

TOO_SHORT = "fewer than two tokens to score"


def columns_of(found: Filled | Perplexities, chunks: Chunks, spec: PredictSpec) -> dict[str, pa.Array]:
    """The columns of an output, by their names."""
    if isinstance(found, Filled):
        return {"fill_mask": fillings_column(found), "filled": filled_column(found)}
    scores = {"token_log_probs": scores_column(found, chunks.offsets)} if spec.token_log_probs else {}
    return {"pseudo_perplexity": perplexity_column(found), **scores}


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


def _lists(values: pa.Array, count: int, length: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * length, pa.int32()), values)


def _offsets(counts: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
