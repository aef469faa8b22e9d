"""A network's inside as rich shows it: statistics by layer, the first numbers, attention as shaded maps; or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipelines.model.inspection import Insides

Floats = npt.NDArray[np.float32]

SHADES = " ░▒▓█"
HEIGHTS = "▁▂▃▄▅▆▇█"
LABEL = 14
"""Columns of a token's place and name beside a map."""
NUMBERS = 3
"""Numbers of a token that are shown."""


def facts(insides: Insides) -> dict[str, Any]:
    """JSON: shapes; by layer mean and deviation of hidden states and attentions; the pooler's output whole."""
    told: dict[str, Any] = {}
    for name, values in vars(insides).items():
        if values is None:
            continue
        told[name] = {"shape": list(values.shape)}
        if name == "pooler_output":
            told[name]["values"] = values.tolist()
        else:
            told[name]["layers"] = [{"mean": float(layer.mean()), "std": float(layer.std())} for layer in values]
    return told


def render(insides: Insides, tokens: Sequence[str], width: int) -> RenderableType:
    """What there is, at most ``width`` columns wide: hidden states, pooler output, a map of attention a layer."""
    parts: list[RenderableType] = []
    if insides.hidden_states is not None:
        parts += [Text(), *hidden_states(insides.hidden_states, tokens, width)]
    if insides.pooler_output is not None:
        parts += [Text(), *pooler_output(insides.pooler_output)]
    if insides.attentions is not None:
        parts += [Text(), *attentions(insides.attentions, tokens, width)]
    return Group(*parts)


def hidden_states(states_lsd: Floats, tokens: Sequence[str], width: int) -> Iterator[RenderableType]:
    """Mean and deviation by layer, and the first numbers of the first tokens."""
    yield _title("hidden_states", states_lsd, "layers (0: embeddings), tokens, numbers")
    shown = tokens[: max(1, (width - 28) // (8 * NUMBERS + 1))]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("layer", "mean", "deviation"):
        table.add_column(name, justify="right")
    for place, token in enumerate(shown):
        table.add_column(Text(f"{place} {token}"), no_wrap=True)
    for number, layer_sd in enumerate(states_lsd):
        firsts = [" ".join(f"{one:7.3f}" for one in layer_sd[place, :NUMBERS]) for place in range(len(shown))]
        table.add_row(str(number), f"{layer_sd.mean():.4f}", f"{layer_sd.std():.4f}", *firsts)
    yield table


def pooler_output(vector_d: Floats) -> Iterator[RenderableType]:
    """Its first numbers, and all of them as heights between the least and the greatest."""
    yield _title("pooler_output", vector_d, f"mean {vector_d.mean():.4f}, deviation {vector_d.std():.4f}")
    yield Text(" ".join(f"{one:.3f}" for one in vector_d[: 3 * NUMBERS]) + " ...")
    least, span = vector_d.min(), max(float(np.ptp(vector_d)), 1e-12)
    levels = np.rint((vector_d - least) / span * (len(HEIGHTS) - 1)).astype(int)
    yield Text(f"from {least:.3f} to {vector_d.max():.3f}", style="dim")
    yield Text("".join(HEIGHTS[level] for level in levels), overflow="fold")


def attentions(weights_lhss: Floats, tokens: Sequence[str], width: int) -> Iterator[RenderableType]:
    """A map a layer, averaged over its heads: who looks by rows, at whom by columns."""
    yield _title("attentions", weights_lhss, "layers, heads, who looks, at whom")
    yield Text("averaged over heads; rows look at columns; a full cell is the layer's greatest", style="dim")
    maps = [attention_map(f"layer {n}", layer.mean(0), tokens, width) for n, layer in enumerate(weights_lhss, 1)]
    yield Columns(maps, padding=(1, 3))


def attention_map(title: str, weights_ss: Floats, tokens: Sequence[str], width: int) -> Text:
    """A map with a token a line where all fit side by side, else with as many neighbours in one cell as it takes."""
    room = max(1, (width - LABEL) // 2)
    step = -(-len(tokens) // room)
    cells = _blocks(weights_ss, step)
    greatest = float(cells.max())
    lines = [Text(f"{title}, to {greatest:.2f}", style="bold"), _axis(len(cells), step)]
    for number, row in enumerate(cells):
        levels = np.rint(row / greatest * (len(SHADES) - 1)).astype(int)
        shaded = "".join(SHADES[level] * 2 for level in levels)
        lines.append(Text.assemble((_label(number * step, tokens, step), "dim"), shaded))
    return Text("\n", no_wrap=True).join(lines)


def _blocks(weights_ss: Floats, step: int) -> Floats:
    """Means of blocks of step x step cells, smaller ones at the edges."""
    starts = np.arange(0, len(weights_ss), step)
    sizes = np.diff(np.append(starts, len(weights_ss)))
    sums = np.add.reduceat(np.add.reduceat(weights_ss, starts, 0), starts, 1)
    means: Floats = sums / np.outer(sizes, sizes)
    return means


def _axis(num_cells: int, step: int) -> Text:
    """Places over the columns: each where all are of one digit, else every other, or every fourth."""
    longest = len(str((num_cells - 1) * step))
    every = 1 if longest == 1 else 2 if longest < 4 else 4
    places = [f"{number * step:<{2 * every}d}" for number in range(0, num_cells, every)]
    return Text(" " * LABEL + "".join(places).rstrip(), style="dim")


def _label(place: int, tokens: Sequence[str], step: int) -> str:
    last = min(place + step, len(tokens)) - 1
    text = Text(f"{place:3d} {tokens[place]}" if step == 1 else f"{place:3d} to {last}")
    text.truncate(LABEL - 1, overflow="ellipsis", pad=True)
    return f"{text.plain} "


def _title(name: str, values: Floats, axes: str) -> Text:
    return Text.assemble((name, "bold"), f"  {list(values.shape)}  ", (axes, "dim"))
