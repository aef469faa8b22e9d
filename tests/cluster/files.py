"""The files of cluster/, read as what reads them does, and what they all have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.sources import ROOT

CLUSTER = ROOT / "cluster"
YAMLS = sorted(path.relative_to(CLUSTER).as_posix() for path in CLUSTER.glob("*/*.yaml"))
LAUNCHER = ("launcher/aws.yaml", "launcher/gcp.yaml", "launcher/onprem.yaml")
RAY = ("kuberay/raycluster.yaml", "kuberay/rayjob-embed.yaml", "kuberay/rayjob-pretrain.yaml")
METRICS = ("kuberay/podmonitor.yaml", "prometheus/alerts.yaml")
NODEPOOLS = ("nodepools/eksctl.yaml", "nodepools/gke.yaml")

Document = dict[str, Any]


def documents(name: str) -> list[Document]:
    """The documents of a file."""
    return [found for found in yaml.safe_load_all((CLUSTER / name).read_text()) if found is not None]


def document(name: str) -> Document:
    """The one document of a file."""
    (found,) = documents(name)
    return found


def locked(package: str) -> str:
    """The version that requirements.lock has of a package."""
    (version,) = re.findall(rf"^{package}==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return str(version)


def texts() -> dict[str, str]:
    """Every file of cluster/, by its path there."""
    return {path.relative_to(CLUSTER).as_posix(): path.read_text() for path in CLUSTER.rglob("*") if path.is_file()}


def ray_spec(name: str) -> Document:
    """The RayCluster's spec in a file of KubeRay."""
    spec: Document = document(name)["spec"]
    return dict(spec.get("rayClusterSpec", spec))


def groups(name: str) -> dict[str, Document]:
    """The worker groups of a file of KubeRay by their names."""
    return {group["groupName"]: group for group in ray_spec(name)["workerGroupSpecs"]}


def mappings(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every mapping within a value and where it is, "[]" standing for any place in a list."""
    if isinstance(value, dict):
        yield path, value
        for key, below in value.items():
            yield from mappings(below, (*path, key))
    elif isinstance(value, list):
        for below in value:
            yield from mappings(below, (*path, "[]"))


def pod_specs(name: str) -> list[Document]:
    """Specs of all pods that a file of KubeRay leads to."""
    found = [below["spec"] for _, mapping in mappings(documents(name)) for below in _templates(mapping)]
    return [spec for spec in found if "containers" in spec]


def _templates(mapping: Document) -> list[Document]:
    return [mapping[key] for key in ("template", "submitterPodTemplate") if key in mapping]


def path_of(name: str) -> Path:
    """Where a file of cluster/ is."""
    return CLUSTER / name
