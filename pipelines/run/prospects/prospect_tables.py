"""A prospect as tables of rich: what is to be done, how long documents are, how long it takes and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.display import compact, duration, many, size
from pipelines.run.grid import grid
from pipelines.run.prospects.forecast import Outlook, on_gpu, outlook
from pipelines.run.sizing import TOKENIZER_TOKENS_PER_SECOND
from pipelines.run.tables import listing
from pipelines.text.lengths import length_bins

if TYPE_CHECKING:
    from pipelines.run.plan import Plan
    from pipelines.run.prospects.inventory import Inventory
    from pipelines.run.prospects.prospect import Prospect

WIDTH = 24
"""Characters of the longest bar."""
ACTORS = (1, 4, 16, 64)
"""Numbers of actors that are tried where none is asked for."""


def tables(prospect: Prospect) -> RenderableType:
    """The whole prospect, at most 80 columns wide but for long names, which fold."""
    parts = opening(prospect.found)
    if prospect.expected.sampled:
        parts += [Text(), counts(prospect), Text(), picture(prospect), Text(), *times(prospect)]
    return Group(*parts)


def opening(found: Inventory) -> list[RenderableType]:
    """What a prospect begins with, of whichever job: what is to be done, and what there is beside."""
    parts: list[RenderableType] = [Text(headline(found), style="bold"), Text(f"output {found.output.uri}")]
    parts += [Text(line) for line in remarks(found)]
    if found.books.new_set_aside:
        shards = found.books.shards
        aside = {shards[shard_id].name: reason for shard_id, reason in found.books.new_set_aside.items()}
        parts += [Text(), listing("shards set aside", aside)]
    return parts


def headline(found: Inventory) -> str:
    """What is to be done, in one line."""
    plan, job, num_shards = found.plan, found.ground.order.job, len(found.ground.shards)
    if not plan.stretches:
        return f"{job} plan: nothing to do, of {many(num_shards, 'shard')}"
    shards = len({one.shard.shard_id for one in plan.stretches})
    return (
        f"{job} plan: {many(plan.num_documents, 'document')} in {shards:,} of {many(num_shards, 'shard')} to do, "
        f"{many(plan.num_slices, 'slice')}"
    )


def remarks(found: Inventory) -> Iterator[str]:
    """What else there is: documents that are done, and those that are left out."""
    plan = found.plan
    done = sum(part.num_documents for part in found.ledger.current)
    if done:
        yield f"done already: {many(done, 'document')} in {many(len(found.ledger.current), 'part')}"
    if found.ledger.changed:
        yield f"changed: {many(len(found.ledger.changed), 'shard')}, to be done again"
    if plan.num_left_out:
        yield f"left for another run by --limit: {many(plan.num_left_out, 'document')}"
    if plan.set_aside.keys() - found.books.new_set_aside.keys():
        aside = len(plan.set_aside.keys() - found.books.new_set_aside.keys())
        yield f"set aside in an earlier run: {many(aside, 'shard')} (--retry_dead_letters)"


def counts(prospect: Prospect) -> Table:
    """Names and numbers of what is expected."""
    expected, sampled = prospect.expected, prospect.sampled
    error = f" ± {expected.tokens_error:.1%}" if expected.tokens_error else ""
    return grid(
        {
            "tokens": f"{expected.tokens:,}{error}",
            "rows": f"{expected.rows:,}",
            "to write": size(expected.write_bytes),
            "tokens a row": f"{sampled.lengths.mean():.1f}" if len(sampled.lengths) else "0",
            "padding": "packed" if on_gpu(prospect.gpu) else f"{expected.padding_fraction:.1%}",
            "truncated": f"{expected.truncated:,}",
            "sampled": f"{expected.sampled:,} documents",
            "dead letters": f"{expected.dead_letters:,}",
        }
    )


def picture(prospect: Prospect) -> Table:
    """How long the sample's documents are uncut, and what a max_seqlen at the end of each bin would leave out."""
    limit = int(prospect.found.ground.recipe.spec.max_seqlen)
    bins = length_bins(prospect.sampled.document_lengths, limit)
    most = max((one.num_documents for one in bins), default=0)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("tokens", justify="right")
    table.add_column("documents", no_wrap=True)
    for name in ("", "longer", "tokens beyond"):
        table.add_column(name, justify="right")
    table.add_column("", no_wrap=True)
    for one in bins:
        share = one.num_documents / len(prospect.sampled.document_lengths)
        bar = "█" * math.ceil(WIDTH * one.num_documents / most)
        mark = "max_seqlen" if one.last == limit else ""
        table.add_row(
            f"{one.first:,}-{one.last:,}", bar, f"{share:.1%}", f"{one.longer:.1%}", f"{one.beyond:.1%}", mark
        )
    return table


def times(prospect: Prospect) -> Iterator[RenderableType]:
    """The pace, and by numbers of actors how long it takes and what it costs."""
    if prospect.pace is None:
        yield Text("time  not known: give --rates.tokens_per_second, of one encode actor")
        return
    rates = prospect.found.ground.order.rates
    yield Text(f"pace  {compact(prospect.pace.tokens_per_second)} tokens/s an encode actor: {prospect.pace.source}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    priced = [*rates.cost(0, encoders=0, tokenizers=0), "cost"] if rates.are_told else []
    for name in ("encode actors", "tokenize actors", "time", *priced):
        table.add_column(name, justify="right")
    for one in outlooks(prospect):
        costs = [*one.cost.values(), sum(one.cost.values())] if priced else []
        numbers = (f"{one.encoders:,}", f"{one.tokenizers:,}", duration(one.seconds))
        table.add_row(*numbers, *(f"{cost:,.2f}" for cost in costs))
    yield table
    yield Text("time and cost from the first slice on, without the start of nodes and actors")


def outlooks(prospect: Prospect) -> Iterator[Outlook]:
    """For the actors that are asked for, or some numbers of them, of which each has a slice at least."""
    pace = prospect.pace
    assert pace is not None
    for encoders in actor_numbers(prospect.gpu.max_actors, prospect.found.plan):
        yield outlook(
            prospect.expected.tokens, pace, prospect.found.ground.order.rates, encoders=encoders,
            tokenizers=_tokenizers(prospect, encoders, pace.tokens_per_second),
        )  # fmt: skip


def actor_numbers(asked: int | Literal["auto"], plan: Plan) -> list[int]:
    """The number of actors that is asked for, or some, of which each has a slice at least."""
    return [asked] if asked != "auto" else [number for number in ACTORS if number == 1 or number <= plan.num_slices]


def _tokenizers(prospect: Prospect, encoders: int, tokens_per_second: float) -> int:
    """As many as are asked for, or as keep the encoders busy."""
    if prospect.cpu.max_actors != "auto":
        return prospect.cpu.max_actors
    rate = prospect.sampled.tokenizer_tokens_per_second or TOKENIZER_TOKENS_PER_SECOND
    return max(1, math.ceil(encoders * tokens_per_second / rate))
