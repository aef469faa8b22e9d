from __future__ import annotations

import re

from pipelines.run import metrics
from pipelines.run.metrics import OF_A_RUN, TABLE, Metric

BASE_UNITS = {"_seconds": "seconds", "_bytes_total": "bytes", "_seconds_total": "seconds", "_ratio": "1"}


def test_the_table_has_every_metric_once() -> None:
    made = [one for one in vars(metrics).values() if isinstance(one, Metric)]
    assert set(made) == set(TABLE)
    assert len({metric.name for metric in TABLE}) == len(TABLE) == len(made)


def test_names_are_as_prometheus_has_them() -> None:
    for metric in TABLE:
        assert re.fullmatch(r"manta_[a-z]+(_[a-z]+)*", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        units = [unit for end, unit in BASE_UNITS.items() if metric.name.endswith(end)]
        assert units in ([], [metric.unit])
        assert metric.told.endswith(".")
    assert metrics.SLICES.exported == "ray_manta_slices_total"


def test_tags_are_few_and_none_is_prometheus_own() -> None:
    tags = {tag for metric in TABLE for tag in metric.tags}
    assert tags == {"job_name", "run", "exit_code"}
    assert tags.isdisjoint({"job", "instance", "WorkerId", "SessionName", "NodeAddress", "Version", "Component"})
    assert [metric.name for metric in TABLE if metric.tags != OF_A_RUN] == ["manta_runs_total"]
