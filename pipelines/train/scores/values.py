"""How well numbers are told: of a regression, and the cosines of pairs that have a score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional import regression as metrics

Doubles = npt.NDArray[np.float64]


def value_scores(told_n: npt.NDArray[Any], right_n: npt.NDArray[Any]) -> dict[str, float]:
    """Spearman's and Pearson's correlation, root mean square error and mean absolute error."""
    errors = (
        torch.from_numpy(np.asarray(told_n, np.float64)),
        torch.from_numpy(np.asarray(right_n, np.float64)),
    )
    return {
        **correlations(told_n, right_n),
        "rmse": float(metrics.mean_squared_error(*errors, squared=False)),
        "mae": float(metrics.mean_absolute_error(*errors)),
    }


def correlations(told_n: npt.NDArray[Any], right_n: npt.NDArray[Any]) -> dict[str, float]:
    """Spearman's and Pearson's; NaN where all numbers of one side are the same, or there are fewer than two."""
    return {"spearman": pearson(ranks(told_n), ranks(right_n)), "pearson": pearson(told_n, right_n)}


def pearson(told_n: npt.NDArray[Any], right_n: npt.NDArray[Any]) -> float:
    """Pearson's correlation in float64."""
    told, right = (np.asarray(values, np.float64) for values in (told_n, right_n))
    if len(told) < 2 or not np.ptp(told) or not np.ptp(right):
        return math.nan
    ours, theirs = (torch.from_numpy((values - values.mean()) / values.std()) for values in (told, right))
    return float(metrics.pearson_corrcoef(ours, theirs))


def ranks(values_n: npt.NDArray[Any]) -> Doubles:
    """Ranks from 1; equals share the mean of theirs.

    By hand: torchmetrics adds the ranks of equals up in int32, which 70,000 of them exceed.
    """
    _, place, counts = np.unique(values_n, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]
