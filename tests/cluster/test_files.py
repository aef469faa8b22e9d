"""The files of cluster/: that their readers know every key in them, and that a wrong one would be noticed."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.cluster.files import LAUNCHER, METRICS, NODEPOOLS, RAY, YAMLS, Document, documents, mappings
from tests.cluster.schemas import Wrong, check, check_start

ANY_NAME = {
    "annotations", "available_node_types", "data", "file_mounts", "labels", "limits", "matchLabels", "nodeSelector",
    "requests",
}  # fmt: skip
"""Mappings whose keys are names that we give."""


def test_all_files_are_known() -> None:
    others = {"kuberay/access.yaml", "kuberay/cronjob-embed.yaml", "nodepools/spot-first.yaml"}
    assert set(YAMLS) == {*LAUNCHER, *RAY, *NODEPOOLS, *others, *METRICS}


@pytest.mark.parametrize("name", YAMLS)
def test_readers_know_every_key(name: str) -> None:
    found = documents(name)
    assert found
    for document in found:
        check(document)


@pytest.mark.parametrize("name", YAMLS)
def test_a_wrong_key_is_refused_wherever_it_stands(name: str) -> None:
    for number, document in enumerate(documents(name)):
        places = {path: None for path, _ in mappings(document) if not may_hold_any_name(path)}
        assert places
        for path in places:
            wrong = json.loads(json.dumps(document))  # without aliases, which would plant it elsewhere, too
            planted = next(mapping for place, mapping in mappings(wrong) if place == path)
            planted["wrong"] = 1
            assert refused(wrong), f"document {number} was taken with a wrong key at {'.'.join(path)}"


def may_hold_any_name(path: tuple[str, ...]) -> bool:
    resources_of_ray = path[:1] == ("available_node_types",) and path[-1] == "resources"
    return bool(path) and (path[-1] in ANY_NAME or resources_of_ray)


@pytest.mark.parametrize("flag", ["--objekt-spilling-directory=/spill", "--num-cpus=many", "--block=1"])
def test_a_wrong_flag_of_ray_start_is_refused(flag: str) -> None:
    check_start("ray start --head --num-cpus=0 --block")
    with pytest.raises(Wrong):
        check_start(f"ray start --head {flag}")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("kuberay/raycluster.yaml", "token", "disabled"),
        ("kuberay/raycluster.yaml", "ClusterIP", "LoadBalancer"),
        ("kuberay/cronjob-embed.yaml", 86400, "a day"),
        ("kuberay/rayjob-pretrain.yaml", "ALL", 1),
        ("launcher/aws.yaml", 300, "300 GB"),
        ("launcher/gcp.yaml", "SPOT", "PREEMPTIBLE"),
        ("nodepools/eksctl.yaml", "NoSchedule", "NO_SCHEDULE"),
        ("nodepools/gke.yaml", "NO_SCHEDULE", "NoSchedule"),
        ("kuberay/podmonitor.yaml", "15s", "often"),
        ("prometheus/alerts.yaml", "10m", "a while"),
    ],
)
def test_a_wrong_value_is_refused(name: str, old: object, new: object) -> None:
    changed = [dict(replaced(document, old, new)) for document in documents(name)]
    assert changed != documents(name)
    assert any(refused(document) for document in changed)


def refused(document: Document) -> bool:
    """Whether what reads a document refuses it."""
    try:
        check(document)
    except (ValueError, jsonschema.ValidationError):
        return True
    return False


def replaced(value: Any, old: object, new: object) -> Any:
    """The value with each leaf that is ``old`` made ``new``."""
    if isinstance(value, dict):
        return {key: replaced(below, old, new) for key, below in value.items()}
    if isinstance(value, list):
        return [replaced(below, old, new) for below in value]
    return new if value == old else value
