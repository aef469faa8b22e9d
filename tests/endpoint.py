"""The Prometheus endpoint of a real Ray node, read as Prometheus reads it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pipelines.run.metrics import PREFIX, Metric
from pipelines.run.slice_metrics import busy_seconds

if TYPE_CHECKING:
    from tests.faults.nodes import Head

DISCOVERY = "prom_metrics_service_discovery.json"
"""What Ray writes for Prometheus: where its endpoints are."""
PATIENCE_SECONDS = 60
INTERVAL = {"RAY_metrics_report_interval_ms": "1000"}
"""Environment of a head whose processes export each second, as often as Ray lets them."""


def targets(head: Head) -> list[str]:
    """HOST:PORT of the endpoints of a head, once it has told."""
    file = head.folder / "ray" / DISCOVERY
    _until(file.exists)
    return [target for group in json.loads(file.read_text()) for target in group["targets"]]


def text_of(head: Head) -> str:
    """All that the endpoints of a head tell. (One that answers nothing is the autoscaler's, whose port is fixed.)"""
    told = []
    for target in targets(head):
        with suppress(OSError):
            told.append(urllib.request.urlopen(f"http://{target}/metrics", timeout=20).read().decode())
    return "".join(told)


def samples(text: str, **labels: str) -> dict[str, Sample]:
    """Our metrics that bear these labels, by their names in the table; AssertionError where one comes twice."""
    found: dict[str, Sample] = {}
    for sample in _ours(text):
        if labels.items() <= sample.labels.items():
            name = sample.name.removeprefix(PREFIX)
            assert name not in found, name
            found[name] = sample
    return found


def values(text: str, **labels: str) -> dict[str, float]:
    """The same as numbers."""
    return {name: sample.value for name, sample in samples(text, **labels).items()}


def kinds(text: str) -> dict[str, tuple[str, str]]:
    """Kind and help of our metrics, by their exported names."""
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith(f"{PREFIX}manta_")]
    ends = {"counter": "_total"}
    return {
        family.name.removesuffix("_total") + ends.get(family.type, ""): (family.type, family.documentation)
        for family in families
    }


def runs_told(text: str) -> dict[tuple[str, str], float]:
    """Runs by job and exit code."""
    told: dict[tuple[str, str], float] = {}
    for sample in _ours(text):
        if sample.name == f"{PREFIX}manta_runs_total":
            key = sample.labels["job_name"], sample.labels["exit_code"]
            told[key] = told.get(key, 0) + sample.value
    return told


def wait_for(head: Head, is_so: Callable[[dict[str, float]], bool], **labels: str) -> dict[str, float]:
    """Our metrics with these labels, once this is so of them."""
    told: dict[str, float] = {}

    def look() -> bool:
        told.clear()
        told.update(values(text_of(head), **labels))
        return is_so(told)

    _until(look)
    return told


def names(*metrics: Metric) -> set[str]:
    """Names of metrics."""
    return {metric.name for metric in metrics}


def expected(report: Mapping[str, Any]) -> dict[str, float]:
    """What the counters of a run over a corpus come to, by the report that it left; those of nothing are not there."""
    spent = report["stage_seconds"]
    stats = {f"encode_{what}_seconds": spent[f"encode {what}"] for what in ("compute", "convert", "wait")}
    counted = {
        "manta_documents_total": report["documents"],
        "manta_rows_total": report["rows"],
        "manta_slices_total": report["slices"],
        "manta_written_bytes_total": report["write_bytes"],
        "manta_tokens_total": report["tokens"],
        "manta_dead_letters_total": report["num_dead_letters"],
        "manta_shards_set_aside_total": len(report["corpus"]["set_aside"]),
        "manta_computed_tokens_total": report["computed_tokens"],
        "manta_padding_tokens_total": report["computed_tokens"] - report["encoded_tokens"],
        "manta_encode_busy_seconds_total": busy_seconds(stats),
        "manta_encode_idle_seconds_total": stats["encode_wait_seconds"],
    }
    return {name: value for name, value in counted.items() if value}


def _ours(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from (sample for sample in family.samples if sample.name.startswith(f"{PREFIX}manta_"))


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "the endpoint did not tell it"
        time.sleep(0.2)
