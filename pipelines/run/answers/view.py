"""The answer to one text, for people: its tokens, what each mask may stand for, scores, as tables and bars of rich."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.model.abilities import INSIDES
from pipelines.run.answers.values import shown_value
from pipelines.spec import refuse

HEIGHTS = " ▁▂▃▄▅▆▇█"
GAP = 2
AROUND = 4
"""Tokens told on either side of a mask."""
WIDEST_BAR = 30


@dataclass(frozen=True, kw_only=True)
class View:
    """How the answer to one text is shown."""

    format: Literal["auto", "tables", "json"] = "auto"
    """Tables for people, or JSON, a line a chunk; auto: tables on a terminal, JSON elsewhere."""
    inspect: list[str] = field(default_factory=list)
    """What to show of the network's inside beside its outputs: hidden_states, pooler_output, attentions."""

    def __post_init__(self) -> None:
        if not set(self.inspect) <= set(INSIDES) or len(set(self.inspect)) < len(self.inspect):
            refuse(self, "inspect", f"write some of {', '.join(INSIDES)}, each once")


def render(answer: Mapping[str, Any], width: int) -> RenderableType:
    """A chunk's answer, as ``pipelines.run.local.Predictor`` gives it, at most ``width`` columns wide."""
    told = dict(answer)
    tokens, fillings = told.pop("tokens"), told.pop("fill_mask", None)
    masks = {filling["position"] for filling in fillings or ()}
    parts: list[RenderableType] = [*token_lines(tokens, told.pop("token_log_probs", None), masks, width)]
    if fillings is not None:
        filled = told.pop("filled", None)
        parts += [part for filling in fillings for part in (Text(), *filling_table(filling, tokens, width))]
        parts += [Text(), Text(f"filled  {filled}") if fillings else Text("no mask in this text")]
    if "pseudo_perplexity" in told:
        parts += [Text(), Text(perplexity(told.pop("pseudo_perplexity")))]
    parts += [part for name, value in told.items() for part in (Text(), shown_value(name, value))]
    return Group(*parts)


def token_lines(
    tokens: Sequence[str], log_probs: Sequence[float | None] | None, masks: set[int], width: int
) -> Iterator[RenderableType]:
    """The tokens with their places, and under each the bar and the logarithm of its probability where it is told."""
    scores = ["" if score is None else f"{_height(score)} {score:.2f}" for score in log_probs or ()]
    columns = [(str(place), token, scores[place] if scores else "") for place, token in enumerate(tokens)]
    start = 0
    for stop in _breaks([max(map(cell_len, column)) for column in columns], width):
        yield _token_line(columns[start:stop], {place - start for place in masks}, with_scores=bool(scores))
        start = stop


def _breaks(widths: Sequence[int], width: int) -> Iterator[int]:
    """Where lines of columns end that are at most so wide."""
    taken = 0
    for place, one in enumerate(widths):
        if taken and taken + GAP + one > width:
            yield place
            taken = 0
        taken += one + (GAP if taken else 0)
    if widths:
        yield len(widths)


def _token_line(columns: Sequence[tuple[str, str, str]], masks: set[int], *, with_scores: bool) -> Table:
    line = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for _ in columns:
        line.add_column(justify="center")
    places, tokens, scores = zip(*columns, strict=True)
    line.add_row(*(Text(place, style="dim") for place in places))
    line.add_row(*(Text(token, style="bold yellow" if n in masks else "bold") for n, token in enumerate(tokens)))
    if with_scores:
        line.add_row(*map(Text, scores))
    return line


def _height(log_prob: float) -> str:
    return HEIGHTS[round(math.exp(log_prob) * (len(HEIGHTS) - 1))]


def filling_table(filling: Mapping[str, Any], tokens: Sequence[str], width: int) -> Iterator[RenderableType]:
    """What a mask may stand for: a line that says which mask, and its fillings, a bar each."""
    place = filling["position"]
    before, after = tokens[max(0, place - AROUND) : place], tokens[place + 1 : place + 1 + AROUND]
    yield Text.assemble(
        (f"mask at {place}  ", "dim"), " ".join([*before, ""]), (tokens[place], "bold yellow"), " ".join(["", *after])
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (
        ("token", "left"),
        ("probability", "right"),
        ("", "left"),
        ("log-prob", "right"),
        ("id", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for token, log_prob, number in zip(filling["tokens"], filling["log_probs"], filling["ids"], strict=True):
        share = math.exp(log_prob)
        table.add_row(Text(token), f"{share:.1%}", bar(share, width), f"{log_prob:.2f}", str(number))
    yield table


def bar(share: float, width: int) -> Bar:
    """A bar of a share from 0 to 1, beside other columns."""
    return Bar(1, 0, share, width=min(WIDEST_BAR, max(8, width - 50)), color="cyan")


def perplexity(score: Mapping[str, Any]) -> str:
    """A pseudo-perplexity in a line, or why there is none."""
    if score["perplexity"] is None:
        return f"no pseudo-perplexity: {score['reason']}"
    return (
        f"pseudo-perplexity {score['perplexity']:.4g}, log-probability {score['log_prob']:.4f} "
        f"over {score['num_scored']} tokens"
    )
