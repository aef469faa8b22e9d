"""The lengths of instances as a picture: how full they are of what a batch has room for."""

from __future__ import annotations

import io

from pipelines.run.prepare.instance_counts import InstanceCounts
from pipelines.run.report import Report
from pipelines.store.location import Location

KEY = "length_histogram.png"
WIDE, HIGH, DOTS_AN_INCH = 8.0, 4.5, 130


def with_picture(output: Location, report: Report) -> Report:
    """The report, its lengths drawn into the output where it made instances."""
    if report.instances and report.instances.train:
        output.put(KEY, draw(report.instances, f"{report.job} {report.run}"))
    return report


def draw(counts: InstanceCounts, title: str) -> bytes:
    """The picture, as PNG: instances to train on by tokens, on a logarithmic scale; the mean is a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
    axes = figure.subplots()
    width = counts.bin_width
    centres = [length - (width - 1) / 2 for length in counts.lengths]
    axes.bar(centres, list(counts.lengths.values()), width=width, color="C0")
    label = f"mean {counts.mean_length:.1f} of {counts.max_seqlen} tokens"
    axes.axvline(counts.mean_length, color="C1", linewidth=1.5, label=label)
    axes.set_yscale("log")
    axes.set_xlim(0, counts.max_seqlen + 1)
    axes.set_xlabel("tokens, special ones included")
    axes.set_ylabel("instances" if width == 1 else f"instances in {width} lengths")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper left")
    axes.set_title(f"{title}: {counts.train:,} instances to train on, {counts.objective}", fontsize=10)
    sink = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(sink, dpi=DOTS_AN_INCH, format="png")
    return sink.getvalue()
