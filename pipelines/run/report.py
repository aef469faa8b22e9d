"""The report of a run: what came of it, what it cost, where the time went. Shown at the end, kept as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from pipelines.example_spec import ExampleSpec
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.chips import peak_flops
from pipelines.run.order import Rates
from pipelines.run.prepare.instance_counts import InstanceCounts, count_instances
from pipelines.run.prepare.instance_warnings import instance_warnings
from pipelines.run.tables import tables
from pipelines.run.tally import Tally

if TYPE_CHECKING:
    from pipelines.model.calibration import Calibrated
    from pipelines.run.placement import Placement

LIBRARIES = ("manta", "ray", "torch", "transformers", "tokenizers", "pyarrow", "numpy")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a run found and left, counted in shards and parts."""

    shards: int = 0
    """Shards of the corpus as it is now."""
    done: int = 0
    """Of these, all of whose rows are in the output or among its dead letters."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Reason by name, of shards set aside in this run."""
    set_aside_before: int = 0
    """Shards set aside in an earlier run, in the same version, and passed over."""
    changed: int = 0
    vanished: int = 0
    parts_added: int = 0
    parts_removed: int = 0
    parts_kept: int = 0
    """Parts of vanished shards that stay."""
    documents_left_out: int = 0
    """Documents that the limit leaves for another run."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run. Seconds of stages are summed over their actors; seconds of phases are the clock's."""

    run: str
    job: str
    output: str
    started: str
    """UTC, ISO 8601."""
    exit_code: int
    corpus: Corpus
    documents: int
    rows: int
    documents_missing: int
    dead_letters: dict[str, int]
    """Number by "stage: reason"."""
    slices: int
    tokens: int
    """Tokens of the rows written, special tokens included."""
    encoded_tokens: int
    """Tokens that the encoders were given: the same, and those of slices that were done twice."""
    computed_tokens: int
    """Tokens that the network saw: the encoders' and padding."""
    truncated: int
    repeated_ids: int
    phase_seconds: dict[str, float]
    stage_seconds: dict[str, float]
    """By "read", "tokenize", "encode wait", "encode compute", "encode convert", "instances", "examples" and "write"."""
    read_bytes: int
    write_bytes: int
    peak_bytes: dict[str, int]
    """Private memory of the largest worker, by stage."""
    peak_share: float | None
    """Useful FLOPs of the encoders by what their GPUs' dense peak allows in the time they computed; None: unknown."""
    facts: dict[str, str]
    """What the slices say of themselves, such as precision, path and device."""
    quantization: dict[str, Any] | None
    """What int8 or binary costs, as ``Calibrated.facts`` says, and the share clipped in this run; None: floats."""
    instances: InstanceCounts | None
    """What a run of prepare made; None: it is another job."""
    examples: dict[str, int] | None
    """What a run over labelled data made: train, held_out, "class NAME" of those to train on, and what else its makers
    count; None: it is another job."""
    warnings: list[str]
    """What is odd about it, with its likeliest cause."""
    plan: dict[str, Any] | None
    """What a sample told of it before: fields of ``Forecast``, and seconds where the pace was known. None: no plan."""
    cost: dict[str, float] | None
    """By pool, of the phase of the work on documents; None: no price was told."""
    placement: dict[str, Any] | None
    """None: nothing had to be done, and no actor was started."""
    versions: dict[str, str]

    @property
    def seconds(self) -> float:
        """Wall time of the run."""
        return sum(self.phase_seconds.values())

    @property
    def num_dead_letters(self) -> int:
        """Dead letters of any reason."""
        return sum(self.dead_letters.values())

    @property
    def tokens_per_second(self) -> float:
        """Over the phase "encode", or "prepare"."""
        seconds = sum(self.phase_seconds.get(phase, 0.0) for phase in ("encode", "prepare"))
        return self.tokens / seconds if seconds else 0.0

    @property
    def padding_fraction(self) -> float:
        """Padding among the tokens computed."""
        return 1 - self.encoded_tokens / self.computed_tokens if self.computed_tokens else 0.0

    @property
    def actual(self) -> dict[str, float]:
        """What came of what is planned, by the plan's names."""
        found = {name: getattr(self, name) for name in ("documents", "rows", "tokens", "truncated", "write_bytes")}
        found |= {"dead_letters": self.num_dead_letters, "padding_fraction": self.padding_fraction}
        return found | {"seconds": self.phase_seconds.get("encode", 0.0), "cost": sum((self.cost or {}).values())}

    @property
    def actual_to_plan(self) -> dict[str, float]:
        """Ratios of these to the plan, where both are numbers above 0."""
        plan = (self.plan or {}) | {"cost": sum((self.plan or {}).get("cost", {}).values())}
        return {name: found / plan[name] for name, found in self.actual.items() if found and plan.get(name)}

    def to_json(self) -> str:
        """All fields, and what follows from them, as indented JSON."""
        names = ("seconds", "num_dead_letters", "tokens_per_second", "padding_fraction", "actual_to_plan")
        return json.dumps(asdict(self) | {name: getattr(self, name) for name in names}, indent=2)

    def render(self) -> RenderableType:
        """The report as compact tables of rich, which fit 80 columns; Console.print shows it, in a log too."""
        return tables(self)


STAGE_SECONDS = {
    "read": "read_seconds",
    "tokenize": "tokenize_seconds",
    "encode wait": "encode_wait_seconds",
    "encode compute": "encode_compute_seconds",
    "encode convert": "encode_convert_seconds",
    "instances": "instances_seconds",
    "examples": "examples_seconds",
    "write": "write_seconds",
}


def make_report(
    tally: Tally,
    corpus: Corpus,
    *,
    run: str,
    job: str,
    output: str,
    started: float,
    exit_code: int,
    phase_seconds: Mapping[str, float],
    placement: Placement | None = None,
    calibrated: Calibrated | None = None,
    spec: object = None,
    plan: Mapping[str, Any] | None = None,
    rates: Rates = Rates(),
    versions: Mapping[str, str] | None = None,
) -> Report:
    """The report from what the run's slices add up to. ``started`` in seconds since 1970; ``spec``: of the run."""
    stats = tally.stats
    instances = count_instances(stats, spec) if isinstance(spec, PrepareSpec) else None
    return Report(
        run=run,
        job=job,
        output=output,
        started=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        exit_code=exit_code,
        corpus=corpus,
        documents=tally.num_documents,
        rows=tally.num_rows,
        documents_missing=tally.num_missing,
        dead_letters=dict(tally.reasons.most_common()),
        slices=tally.num_slices,
        tokens=int(stats["num_tokens"]),
        encoded_tokens=int(stats["encode_tokens"]),
        computed_tokens=int(stats["encode_computed_tokens"]),
        truncated=int(stats["truncated"]),
        repeated_ids=int(stats["repeated_ids"]),
        phase_seconds=dict(phase_seconds),
        stage_seconds={stage: float(stats[name]) for stage, name in STAGE_SECONDS.items()},
        read_bytes=int(stats["read_bytes"]),
        write_bytes=int(stats["write_bytes"]),
        peak_bytes={stage: int(peak) for stage, peak in tally.peak_bytes.items()},
        peak_share=peak_share(tally, placement),
        facts={name: tally.fact(name) for name in sorted(tally.facts)},
        quantization=quantization(tally, calibrated) if calibrated else None,
        instances=instances,
        examples=count_examples(stats) if isinstance(spec, ExampleSpec) else None,
        warnings=instance_warnings(instances, spec) if instances and isinstance(spec, PrepareSpec) else [],
        plan=dict(plan) if plan else None,
        cost=_cost(rates, placement, phase_seconds) if placement and rates.are_told else None,
        placement=asdict(placement) if placement else None,
        versions=dict(versions if versions is not None else installed_versions()),
    )


def _cost(rates: Rates, placement: Placement, phase_seconds: Mapping[str, float]) -> dict[str, float]:
    encoders, tokenizers = placement.encode_actors.max, placement.tokenize_actors
    seconds = sum(phase_seconds.get(phase, 0.0) for phase in ("encode", "prepare"))
    return rates.cost(seconds, encoders=encoders, tokenizers=tokenizers)


def count_examples(stats: Mapping[str, float]) -> dict[str, int]:
    """Of labelled data: those to train on and those held out, and what their makers counted beside."""
    prefix = "examples."
    counted = {name.removeprefix(prefix): int(stats[name]) for name in sorted(stats) if name.startswith(prefix)}
    return {side: int(stats.get(f"instances.{side}", 0)) for side in ("train", "held_out")} | counted


def quantization(tally: Tally, calibrated: Calibrated) -> dict[str, Any]:
    """What quantizing costs: as it was measured when the output was calibrated, and the clipped share of this run."""
    num_numbers = tally.num_rows * calibrated.dim
    clipped = tally.stats["clipped_numbers"] / num_numbers if num_numbers else 0.0
    return calibrated.facts() | {"clipped_share_of_run": clipped}


def peak_share(tally: Tally, placement: Placement | None) -> float | None:
    """Share of the dense peak that the encoders reached while they computed (MFU); None on CPUs and unknown GPUs.

    Actors that share a GPU have their share of its seconds each. Of several kinds of GPU the slowest counts. Slices
    tell their GPU by the fact "chip", which is torch's name of it.
    """
    peaks = [peak_flops(chip) for chip in tally.facts.get("chip", {})]
    known = [peak for peak in peaks if peak]
    seconds = tally.stats["encode_compute_seconds"]
    if placement is None or not placement.encode_gpus or not known or len(known) < len(peaks) or not seconds:
        return None
    return tally.stats["encode_flops"] / (seconds * placement.encode_gpus * min(known))


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result or its speed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
