"""The dashboard of Grafana and the alerts of Prometheus: that they ask for what is exported, and for all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import promql_parser
import pytest

from jobs.embed import embed
from jobs.entry import parser_of
from jobs.pretrain import pretrain
from pipelines.run.metrics import TABLE, Metric
from tests.cluster.files import document, documents, path_of
from tests.sources import ROOT

Panel = dict[str, Any]
DASHBOARD: dict[str, Any] = json.loads(path_of("grafana/manta.json").read_text())
RULES = [rule for group in document("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]
EXPORTED = {metric.exported: metric for metric in TABLE}
OF_GRAFANA = {"$__rate_interval": "5m", "$__range": "6h"}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of a dashboard."""


def panels() -> list[Panel]:
    """What is shown; rows are but headings."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def targets() -> list[Panel]:
    """All queries of panels."""
    return [target for panel in panels() for target in panel["targets"]]


def queries() -> list[str]:
    """The expressions of the dashboard, as Grafana hands them on."""
    found = [target["expr"] for target in targets()]
    return [re.sub(r"\$__\w+", lambda name: OF_GRAFANA[name[0]], query) for query in found]


def below(node: Any) -> Iterator[Any]:
    """An expression and all that it is made of."""
    yield node
    for name in ("lhs", "rhs", "expr", "param"):
        if (part := getattr(node, name, None)) is not None:
            yield from below(part)
    for part in getattr(node, "args", ()):
        yield from below(part)


def nodes(query: str) -> list[Any]:
    """All parts of a query. ValueError where Prometheus would not take it."""
    return list(below(promql_parser.parse(query)))


def selectors(query: str) -> list[Any]:
    """What a query selects, over time or not."""
    vectors = [getattr(node, "vector_selector", node) for node in nodes(query)]
    return [vector for vector in vectors if isinstance(vector, promql_parser.VectorSelector)]


def labels_of(selector: Any) -> dict[str, str]:
    """What a selector asks of labels."""
    return {matcher.name: matcher.value for matcher in selector.matchers.matchers}


@pytest.mark.parametrize("query", [*queries(), *(rule["expr"] for rule in RULES)])
def test_a_query_asks_for_what_is_exported(query: str) -> None:
    """Names and labels as in the table; rates of counters alone."""
    found = selectors(query)
    assert found
    for selector in found:
        assert labels_of(selector).keys() <= set(EXPORTED[selector.name].tags)
    grouped = [node for node in nodes(query) if isinstance(node, promql_parser.AggregateExpr) and node.modifier]
    tags = set.intersection(*(set(EXPORTED[selector.name].tags) for selector in found))
    assert all(set(node.modifier.labels) <= tags for node in grouped)
    over_time = [node for node in nodes(query) if isinstance(node, promql_parser.MatrixSelector)]
    assert all(EXPORTED[node.vector_selector.name].kind == "counter" for node in over_time)


def test_a_wrong_query_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        nodes("sum by (job_name (ray_manta_rows_total)")
    with pytest.raises(KeyError):
        test_a_query_asks_for_what_is_exported("rate(ray_manta_row_total[5m])")
    with pytest.raises(AssertionError):
        test_a_query_asks_for_what_is_exported('ray_manta_runs_total{run="x"}')
    with pytest.raises(AssertionError):
        test_a_query_asks_for_what_is_exported("rate(ray_manta_train_loss[5m])")
    with pytest.raises(AssertionError):
        test_a_query_asks_for_what_is_exported("sum by (job) (ray_manta_rows_total)")


def test_every_metric_is_on_a_panel_and_none_twice_for_nothing() -> None:
    shown = {selector.name for query in queries() for selector in selectors(query)}
    assert shown == EXPORTED.keys()
    assert len(set(queries())) == len(queries())


def test_panels_show_the_jobs_and_runs_that_are_chosen() -> None:
    chosen = {"job_name": "$job", "run": "$run"}
    for query in queries():
        for selector in selectors(query):
            tags: Metric = EXPORTED[selector.name]
            assert labels_of(selector) == {name: value for name, value in chosen.items() if name in tags.tags}
    legends = {name for target in targets() for name in re.findall(r"{{(\w+)}}", target["legendFormat"])}
    assert legends == {"job_name", "run"}


def test_variables_are_the_data_source_jobs_and_runs() -> None:
    found = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert list(found) == ["datasource", "job", "run"]
    assert (found["datasource"]["type"], found["datasource"]["query"]) == ("datasource", "prometheus")
    for name, label in {"job": "job_name", "run": "run"}.items():
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", found[name]["query"]["query"])
        assert asked is not None
        (selector,) = selectors(asked[1])
        assert asked[2] == label
        assert label in EXPORTED[selector.name].tags
        assert found[name]["definition"] == found[name]["query"]["query"]
        assert (found[name]["datasource"], found[name]["allValue"], found[name]["multi"]) == (DATASOURCE, ".*", True)


def test_grafana_takes_it_as_it_is() -> None:
    """By import: no id of somebody's database, a data source that is chosen there, one place and one id a panel."""
    assert (DASHBOARD["id"], DASHBOARD["uid"], DASHBOARD["title"]) == (None, "manta", "Manta")
    assert DASHBOARD["schemaVersion"] >= 36  # data sources as objects
    assert "__inputs" not in DASHBOARD
    assert {panel["type"] for panel in panels()} == {"stat", "table", "timeseries"}
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == [
        "Runs",
        "Processing",
        "Training",
    ]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["datasource"] == DATASOURCE
        assert panel["description"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
        assert all(target["datasource"] == DATASOURCE for target in panel["targets"])
        assert {"defaults", "overrides"} == panel["fieldConfig"].keys()
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap() -> None:
    places = {panel["title"]: panel["gridPos"] for panel in DASHBOARD["panels"]}
    assert len(places) == len(DASHBOARD["panels"])
    for place in places.values():
        assert min(place.values()) >= 0
        assert place["x"] + place["w"] <= WIDTH
    assert [pair for pair in combinations(places, 2) if overlap(places[pair[0]], places[pair[1]])] == []
    assert overlap({"x": 0, "y": 0, "w": 12, "h": 8}, {"x": 11, "y": 7, "w": 12, "h": 8})


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places share a cell of the grid."""
    return all(one[a] < other[a] + other[n] and other[a] < one[a] + one[n] for a, n in (("x", "w"), ("y", "h")))


def test_alerts_say_what_to_do_with_flags_that_there_are() -> None:
    help_text = parser_of(embed).format_help() + parser_of(pretrain).format_help()
    assert len({rule["alert"] for rule in RULES}) == len(RULES) == 5
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert all(flag in help_text for flag in re.findall(r"--[\w.]+", rule["annotations"]["description"]))
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert named <= set.intersection(*(set(EXPORTED[found.name].tags) for found in selectors(rule["expr"])))
        assert rule["alert"] in (ROOT / "README.md").read_text()


def test_prometheus_reaches_the_ray_pods_and_no_other_port() -> None:
    _, policy = documents("kuberay/access.yaml")
    (rule,) = (rule for rule in policy["spec"]["ingress"] if "prometheus" in str(rule["from"]))
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]
    monitor = document("kuberay/podmonitor.yaml")["spec"]
    assert monitor["selector"] == policy["spec"]["podSelector"]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ["metrics"]
