"""--plan of prepare: how many instances there will be, of how many tokens, and how long makers take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.display import compact, duration, size
from pipelines.run.grid import grid
from pipelines.run.ground import survey
from pipelines.run.order import Order, order_of
from pipelines.run.prepare.instance_counts import InstanceCounts
from pipelines.run.prepare.instance_tables import histogram, percent
from pipelines.run.prepare.own_tokenizer import with_tokenizer
from pipelines.run.prospects.forecast import row_and_file
from pipelines.run.prospects.instance_sample import SampledInstances, sample_instances
from pipelines.run.prospects.inventory import Inventory
from pipelines.run.prospects.pace import Pace, known_pace, made_tokens
from pipelines.run.prospects.prospect_tables import actor_numbers, opening
from pipelines.spec import TokenizePool
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.stages.write_instances import part_columns
from pipelines.store.output import agree


@dataclass(frozen=True, kw_only=True)
class InstanceForecast:
    """What is expected of the documents that are to be done."""

    sentences: int
    sentence_tokens: int
    instances: int
    """To train on."""
    held_out: int
    tokens: int
    """Of the instances to train on."""
    tokens_error: float
    """Half the width of the 95 % interval, as a share."""
    dead_letters: int
    write_bytes: int


@dataclass(frozen=True, kw_only=True)
class InstanceProspect:
    """What there is, what is to be done, and what it takes."""

    found: Inventory
    sampled: SampledInstances
    pace: Pace | None
    """Tokens of sentences a second of one maker. None: there is nothing to do."""
    cpu: TokenizePool

    exit_code = 0

    @property
    def expected(self) -> InstanceForecast | None:
        """The sample's numbers for all that is to be done; None where no document of it could be read."""
        counts, plan, sampled = self.sampled.counts, self.found.plan, self.sampled
        if counts is None:
            return None
        scale = plan.num_documents / sampled.num_documents
        rows = sampled.rows.select(list(part_columns(self.found.ground.columns)))
        row_bytes, file_bytes = row_and_file(rows, self.found.ground)
        return InstanceForecast(
            sentences=round(scale * counts.sentences),
            sentence_tokens=round(scale * counts.sentence_tokens),
            instances=round(scale * counts.train),
            held_out=round(scale * counts.held_out),
            tokens=round(scale * counts.train_tokens),
            tokens_error=sampled.tokens_error if sampled.num_documents < plan.num_documents else 0.0,
            dead_letters=round(scale * sampled.num_dead_letters),
            write_bytes=round(scale * rows.num_rows * row_bytes + plan.num_slices * file_bytes),
        )

    def render(self) -> RenderableType:
        """It all as tables of rich, which fit 80 columns."""
        parts, counts, expected = opening(self.found), self.sampled.counts, self.expected
        if counts and expected:
            parts += [Text(), numbers(expected, counts, self.sampled), Text()]
            parts += [Text("instances of the sample to train on", style="dim"), histogram(counts)]
            parts += [Text(), *self._times(expected)]
        return Group(*parts)

    def _times(self, expected: InstanceForecast) -> Iterator[RenderableType]:
        """The pace, and by numbers of makers how long it takes and what it costs."""
        pace, rates = self.pace, self.found.ground.order.rates
        if pace is None:
            return
        yield Text(f"pace  {compact(pace.tokens_per_second)} tokens/s of sentences a maker: {pace.source}")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("makers", "time", *(["cost"] if rates.cpu else [])):
            table.add_column(name, justify="right")
        for makers in actor_numbers(self.cpu.max_actors, self.found.plan):
            seconds = expected.sentence_tokens / (pace.tokens_per_second * makers)
            cost = rates.cost(seconds, encoders=0, tokenizers=makers)["cpu"]
            table.add_row(f"{makers:,}", duration(seconds), *([f"{cost:,.2f}"] if rates.cpu else []))
        yield table
        yield Text("time and cost from the first slice on, without the start of nodes and actors")


def numbers(expected: InstanceForecast, counts: InstanceCounts, sampled: SampledInstances) -> Table:
    """Names and numbers of what is expected."""
    error = f" ± {expected.tokens_error:.1%}" if expected.tokens_error else ""
    return grid(
        {
            "instances": f"{expected.instances:,}",
            "held out": f"{expected.held_out:,}",
            "tokens": f"{expected.tokens:,}{error}",
            "tokens each": f"{counts.mean_length:.1f}",
            "sentences": f"{expected.sentences:,}",
            "to write": size(expected.write_bytes),
            "padding": percent(counts.padding),
            "padding, sorted": percent(counts.padding_sorted),
            "sampled": f"{sampled.num_documents:,} documents",
            "dead letters": f"{expected.dead_letters:,}",
        }
    )


def look_ahead_of_instances(arguments: Mapping[str, Any]) -> InstanceProspect:
    """The prospect of prepare by its arguments. SpecError where the request is wrong, FingerprintError as embed.

    A tokenizer that is still to be trained is none to plan with: SpecError.
    """
    order = order_of(Order, "prepare", arguments)
    recipe = TokenizerRecipe.of(with_tokenizer(arguments["spec"], order, train=False), order.storage)
    found = Inventory(survey(order, recipe, agree))
    sampled = sample_instances(found.plan.stretches, found.ground.reading, recipe)
    pace = known_pace(order.rates, found.output, made_tokens)
    if pace is None and sampled.counts and sampled.seconds:
        pace = Pace(tokens_per_second=sampled.counts.sentence_tokens / sampled.seconds, source="measured here")
    return InstanceProspect(found=found, sampled=sampled, pace=pace, cpu=arguments.get("cpu", TokenizePool()))
