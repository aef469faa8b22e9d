"""What an evaluation found, as pictures: values told against right ones, metrics by class, and how ranks lie."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.train.scores.retrieval import Judged, ndcg_at, recall_at

DOTS_AN_INCH = 130
MOST_DOTS = 2000
"""More pairs than this are counted in hexagons."""
MOST_CLASSES = 40
SPELLED = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "rmse": "RMSE", "mae": "MAE"}
BAR_METRICS = ("precision", "recall", "f1", "auroc", "exact_match")
COLORS = {"precision": "#9ecae1", "recall": "#4292c6", "f1": "#08306b", "auroc": "#fdae6b", "exact_match": "#4292c6"}


def draw_values(
    told_n: npt.NDArray[Any], right_n: npt.NDArray[Any], metrics: Mapping[str, float], names: tuple[str, str]
) -> bytes:
    """PNG: values told (upward) against right ones, with a straight line through them and their marginal counts.

    ``names`` are of the values told and of the right ones.
    """
    figure = new_figure(7.0, 6.6)
    axes = figure.add_gridspec(2, 2, width_ratios=[5, 1], height_ratios=[1, 5])
    plot = figure.add_subplot(axes[1, 0])
    above, beside = figure.add_subplot(axes[0, 0], sharex=plot), figure.add_subplot(axes[1, 1], sharey=plot)
    if len(told_n) > MOST_DOTS:
        plot.hexbin(right_n, told_n, gridsize=45, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
    else:
        alpha = float(np.clip(60 / max(len(told_n), 1) ** 0.5 / 4, 0.25, 0.9))
        plot.scatter(right_n, told_n, s=16, alpha=alpha, color="C0", edgecolor="none")
    if len(right_n) > 1 and np.ptp(right_n):
        slope, height = np.polyfit(right_n, told_n, 1)
        ends = np.array([right_n.min(), right_n.max()])
        plot.plot(ends, slope * ends + height, color="C3", linewidth=1.4, label="least squares")
        plot.legend(loc="upper left", edgecolor="none", framealpha=0.85)
    above.hist(right_n, bins=40, color="0.7")
    beside.hist(told_n, bins=40, color="0.7", orientation="horizontal")
    for axis in (above, beside):
        axis.axis("off")
    plot.set_xlabel(f"{names[1]}, as it is right")
    plot.set_ylabel(names[0])
    finish(plot)
    figure.suptitle(", ".join([f"{len(told_n):,} examples", *in_words(metrics)]), fontsize=11)
    return png(figure)


def draw_classes(by_class: Mapping[str, Mapping[str, float]], title: str) -> bytes:
    """PNG: bars of each class's metrics, those with the most examples first, and how many examples it has."""
    names = sorted(by_class, key=lambda name: -by_class[name].get("support", 0))[:MOST_CLASSES]
    metrics = [metric for metric in BAR_METRICS if any(metric in by_class[name] for name in names)]
    figure = new_figure(8.5, 1.6 + 0.12 * len(names) * (len(metrics) + 1))
    axes = figure.subplots()
    high = 0.82 / max(len(metrics), 1)
    for number, metric in enumerate(metrics):
        places = np.arange(len(names)) + (number - (len(metrics) - 1) / 2) * high
        values = [by_class[name].get(metric, 0.0) for name in names]
        axes.barh(places, values, height=high * 0.92, color=COLORS[metric], label=metric.replace("_", " "))
    axes.set_yticks(np.arange(len(names)), [_row(name, by_class[name]) for name in names], fontsize=9)
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    finish(axes, "x")
    left_out = len(by_class) - len(names)
    more = f" (the {len(names)} with the most examples; {left_out} more)" if left_out else ""
    axes.set_xlabel(f"by class{more}")
    figure.legend(loc="outside lower center", ncols=len(metrics), edgecolor="none", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return png(figure)


def draw_ranks(judged: Judged, metrics: Mapping[str, float], title: str) -> bytes:
    """PNG: recall and nDCG of the first k documents, for each k; the k of the metrics are dots."""
    most = max([10, *(int(name.partition("@")[2] or 0) for name in metrics)])
    ks = np.unique(np.geomspace(1, most, 60).astype(int))
    figure = new_figure(7.5, 5.0)
    axes = figure.subplots()
    for name, at, color in (("recall", recall_at, "C0"), ("ndcg", ndcg_at, "C1")):
        axes.plot(ks, [at(judged, int(k)).mean() for k in ks], color=color, linewidth=1.6, label=_shown(name))
        dots = {int(key.partition("@")[2]): value for key, value in metrics.items() if key.startswith(f"{name}@")}
        axes.plot(list(dots), list(dots.values()), "o", color=color, markersize=5, markeredgecolor="white")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0.95, most * 1.05)
    axes.set_ylim(0, 1)
    axes.set_xlabel("k first documents")
    axes.set_ylabel("mean over the queries")
    axes.legend(loc="upper left", edgecolor="none", framealpha=0.85)
    finish(axes)
    shown = {name: value for name, value in metrics.items() if name in ("map", "mrr@10")}
    axes.set_title(", ".join([title, *in_words(shown)]), fontsize=10)
    return png(figure)


def new_figure(wide: float, high: float) -> Any:
    """A figure of so many inches that no global state knows."""
    from matplotlib.figure import Figure

    return Figure(figsize=(wide, high), layout="constrained")


def png(figure: Any) -> bytes:
    """The figure, drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    sink = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(sink, dpi=DOTS_AN_INCH, format="png")
    return sink.getvalue()


def finish(axes: Any, axis: str = "both") -> None:
    """A light grid behind what is drawn, and no frame above and to the right."""
    axes.grid(alpha=0.25, axis=axis)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shortened(names: Sequence[str], most: int = 24) -> list[str]:
    """Names cut to so many characters."""
    return [name if len(name) <= most else f"{name[: most - 1]}…" for name in names]


def _row(name: str, values: Mapping[str, float]) -> str:
    return f"{shortened([name])[0]}  ({values.get('support', 0):,.0f})"


def in_words(metrics: Mapping[str, float]) -> list[str]:
    """Each metric as "accuracy 0.913"."""
    return [f"{_shown(name)} {value:.3f}" for name, value in metrics.items()]


def _shown(name: str) -> str:
    kind, at, k = name.partition("@")
    return (
        {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "rmse": "RMSE", "mae": "MAE"}.get(kind, kind.replace("_", " "))
        + at
        + k
    )
