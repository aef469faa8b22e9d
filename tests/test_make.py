"""The two commands' ground: ranges, pins and Makefile agree with each other and with what is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import PurePosixPath
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.sources import FIRST_PARTY, ROOT, imports, libraries, source, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK_LINES = (ROOT / "requirements.lock").read_text().splitlines()
PINS = dict(line.split("==") for line in LOCK_LINES if not line.startswith("#"))
APART_LINES = (ROOT / "notebook.lock").read_text().splitlines()
APART = dict(line.split("==") for line in APART_LINES if not line.startswith("#"))


def asked() -> list[Requirement]:
    """Everything the project asks for, all its extras included."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in (*PROJECT["dependencies"], *(text for extra in extras for text in extra))]


def unsatisfied(requirements: list[Requirement], pins: dict[str, str]) -> list[str]:
    """The requirements that a lock has no fitting pin for."""
    pinned = [(r, pins.get(canonicalize_name(r.name))) for r in requirements]
    return [str(r) for r, pin in pinned if pin is None or not r.specifier.contains(pin)]


def test_every_range_has_its_pin() -> None:
    assert unsatisfied([Requirement("ray>=2.60,<2.64")], {"ray": "2.64.0"}) == ["ray<2.64,>=2.60"]
    assert unsatisfied([Requirement("s3fs")], {}) == ["s3fs"]
    assert unsatisfied(asked(), PINS | APART) == []
    assert PINS.keys() & APART.keys() == set()


def test_the_lock_is_closed() -> None:
    """Nothing that a pinned package needs here is missing: the lock is installed with --no-deps.

    But for packages that are read and never run.
    """
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    read = tuple(pin.split("==")[0] for pin in _lock_script()["ALONE"])
    complaints = [line for line in check.stdout.splitlines() if not line.startswith(read)]
    assert complaints in ([], ["No broken requirements found."]), check.stdout


def test_the_lock_holds_exact_versions_alone() -> None:
    lines = [*LOCK_LINES, *APART_LINES]
    assert [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    assert (list(PINS), list(APART)) == (sorted(PINS), sorted(APART))
    assert PINS["torch"] == "2.13.0"  # later ones bring gigabytes of CUDA to machines without a GPU


def test_what_is_installed_is_what_is_locked() -> None:
    assert {name: pin for name, pin in PINS.items() if version(name).partition("+")[0] != pin} == {}


def undeclared(names: set[str], declared: set[str]) -> set[str]:
    """Imported libraries that no requirement of the project provides."""
    providers = packages_distributions()
    return {name for name in names if not {canonicalize_name(d) for d in providers.get(name, [])} & declared}


def test_every_library_imported_is_declared() -> None:
    assert undeclared({"yaml", "attrs"}, {"pyyaml"}) == {"attrs"}
    runtime = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    # botocore comes with s3fs, huggingface_hub and safetensors with transformers: each is the other's own interface
    runtime |= {"botocore", "huggingface-hub", "safetensors"}
    names = {name for src in sources("pipelines", "jobs") for name in libraries(imports(src))}
    assert undeclared(names, runtime) == set()
    everything = runtime | {canonicalize_name(r.name) for r in asked()}
    names = {name for src in sources("examples", "benchmarks", "tests") for name in libraries(imports(src))}
    assert undeclared(names, everything | {"packaging", "pandas"}) <= {"tests"}


def test_lock_is_rendered_from_pips_report() -> None:
    rendered = _lock_script()["render"](
        {
            "install": [
                _package("torch", "2.13.0+cpu"),
                _package("PyYAML", "6.0.3"),
                _package("typing_extensions", "4.16.0"),
            ]
        }
    )
    assert rendered.splitlines()[-3:] == ["pyyaml==6.0.3", "torch==2.13.0", "typing-extensions==4.16.0"]
    assert all(line.startswith("#") for line in rendered.splitlines()[:-3])
    assert rendered.splitlines()[:-3] == [line for line in LOCK_LINES if line.startswith("#")]


def test_what_a_notebook_needs_beside_is_locked_apart() -> None:
    script = _lock_script()
    project = {"dependencies": ["a"], "optional-dependencies": {"dev": ["b"], "notebook": ["jupyterlab"]}}
    assert script["requirements"]({"project": project}) == ["a", "b"]
    assert script["asked_apart"]({"project": project}) == ["jupyterlab"]
    report = {"install": [_package("torch", "2.13.0+cpu"), _package("JupyterLab", "4.6"), _package("a", "1")]}
    there = script["pins_of"]({"install": [_package("torch", "2.13.0+cpu"), _package("a", "1")]})
    assert there == {"torch": "2.13.0", "a": "1"}
    rendered = script["render_apart"](report, there).splitlines()
    assert [line for line in rendered if not line.startswith("#")] == ["jupyterlab==4.6"]
    assert rendered[:-1] == [line for line in APART_LINES if line.startswith("#")]


def test_notebooks_open_on_this_machine_alone_and_with_the_token() -> None:
    told = make("--dry-run", "--always-make", "notebook").stdout
    assert "pip install -qq --no-deps -r notebook.lock" in told
    assert "--ServerApp.ip=127.0.0.1 --ServerApp.allow_remote_access=False" in told
    assert "token" not in told  # Jupyter makes one
    assert "password" not in told
    assert told.rstrip().endswith("examples/embed.ipynb")
    assert "examples/pretrain.ipynb" in make("--dry-run", "notebook", "BOOK=examples/pretrain.ipynb").stdout


def _package(name: str, number: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "version": number}}


def _lock_script() -> dict[str, Any]:
    """The names that .ci/lock.py defines (a folder with a dot is no package)."""
    script = source(".ci/lock.py", (ROOT / ".ci/lock.py").read_text())
    names: dict[str, Any] = {"__name__": "lock"}
    exec(compile(script.tree, str(script.path), "exec"), names)
    return names


def test_every_package_of_the_house_is_installed_by_setuptools() -> None:
    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert include == ["pipelines*", "jobs*"]
    folders = {src.path.parent for src in sources("pipelines", "jobs")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


DOING = "embed predict pretrain finetune evaluate notebook test"
TARGETS = f"{DOING} bench bench-predict bench-pretrain bench-finetune memory lock clean"


@pytest.mark.parametrize("target", TARGETS.split())
def test_makefile_has_its_targets(target: str) -> None:
    plan = make("--dry-run", target)
    assert plan.returncode == 0, plan.stderr
    assert target in make("help").stdout


def test_rows_become_a_limit() -> None:
    assert "--limit 4096" in make("--dry-run", "embed").stdout
    assert "--limit 12" in make("--dry-run", "embed", "ROWS=12").stdout
    assert "--limit" not in make("--dry-run", "embed", "ROWS=all").stdout


def test_steps_stand_for_seconds() -> None:
    assert "--spec.time_budget 600s --output build/sotu-bert " in make("--dry-run", "pretrain").stdout
    assert "--spec.time_budget 60s" in make("--dry-run", "pretrain", "SECONDS=60").stdout
    trial = make("--dry-run", "predict", "STEPS=3").stdout
    assert '--spec.time_budget "" --spec.max_steps 3 --output build/sotu-bert-3-steps ' in trial
    assert "--spec.model build/sotu-bert-3-steps --output build/sotu-predictions-3-steps" in trial
    assert "--limit" not in trial
    assert (
        "--rows 8 --scored_rows 2 --rounds 1"
        in make("--dry-run", "bench-predict", "ROWS=8", "SCORED_ROWS=2", "ROUNDS=1").stdout
    )


def test_makefile_names_modules_that_exist() -> None:
    modules = set(re.findall(r"-m ([a-z_.]+)", (ROOT / "Makefile").read_text()))
    ours = {module for module in modules if module.split(".")[0] in FIRST_PARTY}
    assert len(ours) >= 4
    assert [m for m in sorted(ours) if not (ROOT / PurePosixPath(*m.split("."))).with_suffix(".py").is_file()] == []


def test_an_old_python_is_refused_with_the_remedy(tmp_path: Any) -> None:
    """In an empty copy of the set-up, with an interpreter that says it is too old."""
    for name in ("Makefile", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit\nexit 1\n')
    old.chmod(0o755)
    refused = make(".venv/requirements.lock", f"PYTHON={old}", folder=tmp_path)
    assert refused.returncode == 2
    assert "Python 3.9.1: Manta needs Python 3.11 or later" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def make(*arguments: str, folder: Any = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ROWS"))}
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_ci_runs_the_suite() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    assert "make test" in script.read_text()


def test_what_travels_with_a_job_is_code_and_configs() -> None:
    ignored = (ROOT / ".rayignore").read_text() + (ROOT / ".gitignore").read_text()
    for name in (".venv", "build/", ".git", "tests/", "*.parquet"):
        assert name in ignored.split()
    assert "examples/" not in ignored.split()
