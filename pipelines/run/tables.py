"""A report as tables of rich: a headline, the counts, the stages, and lists of what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.run.display import compact, duration, many, seconds, size
from pipelines.run.grid import grid
from pipelines.run.prepare.instance_tables import instance_tables
from pipelines.run.prospects.plan_against_actual import against

if TYPE_CHECKING:
    from pipelines.run.report import Report

MOST_LINES = 10  # of a list; the rest are counted


def tables(report: Report) -> RenderableType:
    """The whole report, at most 80 columns wide but for long names, which fold."""
    parts: list[RenderableType] = [Text(headline(report), style="bold"), Text(f"output {report.output}")]
    if report.slices:
        parts += [Text(), counts(report), Text(), stages(report), Text(phases(report))]
    if report.slices and report.plan:
        parts += [Text(), against(report.plan, report.actual, report.actual_to_plan)]
    if report.slices and report.instances:
        parts += [Text(), *instance_tables(report.instances, report.warnings)]
    if report.slices and report.examples:
        parts += [Text(), grid({name.replace("_", " "): f"{number:,}" for name, number in told(report.examples)})]
    if report.slices and report.quantization:
        parts += [Text(), costs(report.quantization)]
    if report.dead_letters:
        parts += [Text(), listing("dead letters", {why: f"{n:,}" for why, n in report.dead_letters.items()})]
    if report.corpus.set_aside:
        parts += [Text(), listing("shards set aside", report.corpus.set_aside)]
    parts += [Text(line) for line in remarks(report)]
    return Group(*parts)


def headline(report: Report) -> str:
    """What came of it, in one line."""
    corpus = report.corpus
    if not (report.slices or corpus.set_aside or corpus.parts_added or corpus.parts_removed):
        return f"{report.job}: nothing to do in {duration(report.seconds)}"
    done = [many(report.documents, "document"), many(report.rows, "row")]
    done += [many(report.num_dead_letters, "dead letter")] if report.dead_letters else []
    done += [f"{many(report.documents_missing, 'document')} missing"] if report.documents_missing else []
    return f"{report.job} {report.run}: {', '.join(done)} in {duration(report.seconds)}"


def counts(report: Report) -> Table:
    """Names and numbers."""
    pairs = {
        "tokens": f"{report.tokens:,}",
        "tokens/s": compact(report.tokens_per_second),
        "padding": f"{100 * report.padding_fraction:.1f} %",
        "slices": f"{report.slices:,}",
        "read": size(report.read_bytes),
        "written": size(report.write_bytes),
        "truncated": f"{report.truncated:,}",
        "repeated ids": f"{report.repeated_ids:,}",
        "shards done": f"{report.corpus.done:,} of {report.corpus.shards:,}",
        "parts added": f"{report.corpus.parts_added:,}",
        "parts removed": f"{report.corpus.parts_removed:,}",
    }
    if report.cost:
        pairs["cost"] = f"{sum(report.cost.values()):,.2f}"
    if report.peak_share is not None:
        pairs["of GPU peak"] = f"{100 * report.peak_share:.1f} %"
    if report.instances:
        pairs = {name: value for name, value in pairs.items() if name not in ("padding", "truncated")}
    if report.examples:
        pairs.pop("padding")
    return grid(pairs)


def told(examples: Mapping[str, int]) -> list[tuple[str, int]]:
    """What is shown of examples: what there is any of, and of classes the most numerous."""
    classes = sorted((name for name in examples if name.startswith("class ")), key=lambda name: -examples[name])
    others = [name for name in examples if not name.startswith("class ") and (examples[name] or name == "train")]
    return [(name, examples[name]) for name in (*others, *classes[:MOST_LINES])]


def stages(report: Report) -> Table:
    """What the actors of each stage did with their time, summed over them, and the memory of the largest."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("stage")
    encodes = ("waiting", "computing", "converting") if report.instances is None and report.examples is None else ()
    for name in ("busy", *encodes, "peak memory"):
        table.add_column(name, justify="right")
    spent = report.stage_seconds
    work = "encode" if encodes else "instances" if report.instances else "examples"
    for stage in ("read", *(["tokenize"] if work != "examples" else []), work, "write"):
        memory = size(report.peak_bytes[stage]) if stage in report.peak_bytes else ""
        if stage == "encode":
            wait, compute, convert = (spent[f"encode {what}"] for what in ("wait", "compute", "convert"))
            table.add_row(stage, seconds(compute + convert), seconds(wait), seconds(compute), seconds(convert), memory)
        else:
            table.add_row(stage, seconds(spent[stage]), *("" for _ in encodes), memory)
    return table


def costs(quantization: Mapping[str, Any]) -> Table:
    """What quantizing costs, by what is compared with what."""
    dtype = quantization["output_dtype"]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"{dtype} held against float32, {many(quantization['num_held_out'], 'vector')}")
    for name in ("recall@10", "rank correlation"):
        table.add_column(name, justify="right")
    codes = "binary with binary (Hamming)" if dtype == "binary" else f"{dtype} with {dtype}, not restored"
    for name, title in {"float_query": "query in float32", "code_query": codes}.items():
        found = quantization[name]
        told = (found["recall_at_10"], found["rank_correlation"])
        table.add_row(title, *("" if number is None else f"{number:.4f}" for number in told))
    if dtype == "int8":
        table.add_row(f"{100 * quantization['clipped_share_of_run']:.2f} % of this run's numbers clipped")
    return table


def phases(report: Report) -> str:
    """The clock's time of each phase, in one line."""
    return "clock  " + ", ".join(f"{name} {seconds(spent)}" for name, spent in report.phase_seconds.items())


def listing(title: str, lines: Mapping[str, str]) -> Table:
    """A list under a title, cut after ten lines."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold yellow")
    table.add_column(title, overflow="fold")
    table.add_column("", overflow="fold")
    for name, value in list(lines.items())[:MOST_LINES]:
        table.add_row(Text(name), Text(value))
    if len(lines) > MOST_LINES:
        table.add_row(Text(f"and {len(lines) - MOST_LINES:,} more"), Text())
    return table


def remarks(report: Report) -> list[str]:
    """What else one should know, a line each."""
    corpus = report.corpus
    lines = []
    if corpus.changed:
        lines.append(f"{many(corpus.changed, 'shard')} changed: done again, the old parts gone")
    if corpus.vanished and corpus.parts_kept:
        lines.append(
            f"{many(corpus.vanished, 'shard')} vanished: {many(corpus.parts_kept, 'part')} kept (--removed drop)"
        )
    elif corpus.vanished:
        lines.append(f"{many(corpus.vanished, 'shard')} vanished, the parts with them")
    if corpus.set_aside_before:
        lines.append(f"{many(corpus.set_aside_before, 'shard')} set aside in an earlier run (--retry_dead_letters)")
    if corpus.documents_left_out:
        lines.append(f"{many(corpus.documents_left_out, 'document')} left for another run by --limit")
    if report.facts:
        lines.append("ran in " + ", ".join(f"{name} {value}" for name, value in report.facts.items()))
    return lines
