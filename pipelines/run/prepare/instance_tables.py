"""The instances of a run as tables of rich: counts, a histogram of lengths, and warnings."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.grid import grid
from pipelines.run.prepare.instance_counts import BATCH, POOL, InstanceCounts

BARS = 8
WIDTH = 40
EIGHTHS = " ▏▎▍▌▋▊▉"


def instance_tables(counts: InstanceCounts, warnings: list[str]) -> list[RenderableType]:
    """What a report shows of instances, in at most 80 columns."""
    return [
        grid(instance_pairs(counts)),
        Text(f"padding of batches of {BATCH}: at random, and sorted by length within {POOL}", style="dim"),
        Text(),
        histogram(counts),
        *(Text(f"! {line}", style="yellow") for line in warnings),
    ]


def instance_pairs(counts: InstanceCounts) -> dict[str, str]:
    """Names and values."""
    left_out = counts.held_out_documents + counts.weighted_out_documents + counts.dropped_documents
    pairs = {
        "instances": f"{counts.train:,}",
        "documents": f"{counts.documents - left_out:,}",
        "without instance": f"{counts.documents_without:,}",
        "duplicates dropped" if counts.dropped_documents else "duplicates": f"{counts.duplicates:,}",
        "held out": f"{counts.held_out:,}",
        "documents held out": f"{counts.held_out_documents:,}",
        "sentences": f"{counts.sentences:,}",
        "tokens each": f"{counts.mean_length:.1f}",
        "padding": percent(counts.padding),
        "padding, sorted": percent(counts.padding_sorted),
    }
    if counts.objective != "mlm":
        pairs["swapped" if counts.objective == "mlm+sop" else "random"] = percent(counts.share(counts.train_labelled))
        pairs["short"] = percent(counts.share(counts.train_short))
        pairs["sentences left over"] = f"{counts.left_over_sentences:,}"
    return pairs


def histogram(counts: InstanceCounts) -> Table:
    """Bars: instances to train on by their tokens."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("tokens", justify="right")
    table.add_column("instances", justify="right")
    table.add_column("", no_wrap=True)
    ranges = grouped(counts.lengths, counts.max_seqlen)
    most = max((number for _, _, number in ranges), default=0)
    for low, high, number in ranges:
        table.add_row(f"{low}-{high}", f"{number:,}", Text(bar(number, most), style="cyan"))
    return table


def grouped(lengths: dict[int, int], max_seqlen: int) -> list[tuple[int, int, int]]:
    """First and last length of each of ``BARS`` ranges of equal width, or fewer, and how many are within."""
    width = -(-max_seqlen // BARS)
    ranges = [(low + 1, min(low + width, max_seqlen)) for low in range(0, max_seqlen, width)]
    return [(low, high, sum(n for length, n in lengths.items() if low <= length <= high)) for low, high in ranges]


def bar(number: int, most: int) -> str:
    """A bar of blocks as long as a number's share of the most; a number above 0 shows."""
    eighths = max(round(8 * WIDTH * number / most), 1) if number else 0
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def percent(share: float) -> str:
    """A share as 12.3 %."""
    return f"{100 * share:.1f} %"
