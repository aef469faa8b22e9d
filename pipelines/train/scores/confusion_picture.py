"""Which classes are taken for which, as a picture that two classes fill as well as fifty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.train.scores.score_pictures import new_figure, png, shortened

MOST_CLASSES = 60
"""Of more, those that are confused most are shown."""
MOST_WITH_NUMBERS = 25
"""Classes up to which every cell tells its count; beyond, only those that are confused a good deal."""
SHOWN_SHARE = 0.05


def draw_confusion(counts_ll: npt.NDArray[np.int64], labels: Sequence[str], title: str) -> bytes:
    """PNG of counts [L, L]: rows are what is right, columns what was told, colours shares of the row.

    What was told rightly lies on the diagonal, in blue. What was not is red, and by the root of its share, so that a
    twentieth of a class is seen.
    """
    from matplotlib.colors import PowerNorm

    counts, names, note = _chosen(np.asarray(counts_ll), list(labels))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = len(names)
    side = float(np.clip(0.33 * size, 2.6, 13))
    long = max(map(len, shortened(names))) * 0.075
    figure = new_figure(side + long + 1.6, side + long + 1.2)
    axes = figure.subplots()
    diagonal = np.eye(size, dtype=bool)
    wrong = np.ma.masked_array(shares, diagonal | (counts == 0))
    axes.imshow(wrong, cmap="Reds", norm=PowerNorm(0.5, 0, 1))
    bar = axes.imshow(np.ma.masked_array(shares, ~diagonal), cmap="Blues", vmin=0, vmax=1)
    _write_counts(axes, counts, shares)
    font = float(np.clip(320 / size, 6.5, 10))
    axes.set_xticks(range(size), shortened(names), rotation=0 if size <= 3 else 90, fontsize=font)
    axes.set_yticks(range(size), shortened(names), fontsize=font)
    axes.set_xlabel("told")
    axes.set_ylabel("right")
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    figure.colorbar(bar, ax=axes, shrink=0.6, pad=0.02, label="share of the class (diagonal)")
    axes.set_title(title + note, fontsize=10)
    return png(figure)


def _chosen(counts: npt.NDArray[np.int64], names: list[str]) -> tuple[npt.NDArray[np.int64], list[str], str]:
    """All classes, or, of very many, those with the most examples that were taken for another or for which one was."""
    if len(names) <= MOST_CLASSES:
        return counts, names, ""
    wrong = counts * (1 - np.eye(len(names), dtype=np.int64))
    worst = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_CLASSES])
    note = f"\nthe {MOST_CLASSES} of {len(names)} classes that are confused most"
    return counts[np.ix_(worst, worst)], [names[place] for place in worst.tolist()], note


def _write_counts(axes: Any, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    size = len(counts)
    shown = counts > 0 if size <= MOST_WITH_NUMBERS else (shares >= SHOWN_SHARE) & (counts > 0)
    font = float(np.clip(300 / size, 5.5, 12))
    for row, column in zip(*(places.tolist() for places in np.nonzero(shown)), strict=True):
        dark = shares[row, column] > (0.55 if row == column else 0.4)
        color = "white" if dark else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=font, color=color)
