"""The files of flags that examples carry are what their jobs take."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from jobs.entry import parse

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FILES = sorted(EXAMPLES.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(EXAMPLES)) for path in FILES])
def test_a_file_is_what_its_job_takes(path: Path) -> None:
    job, named = re.findall(r"^# python -m jobs\.(\w+) --config (\S+)", path.read_text())[0]
    assert EXAMPLES.parent / named == path
    parse(getattr(importlib.import_module(f"jobs.{job}"), job), ["--config", str(path)])


def test_a_recipe_s_second_step_takes_what_the_first_one_makes() -> None:
    for path in FILES:
        if path.name.startswith("pretrain"):
            (instances,) = re.findall(r"^instances: (\S+)", path.read_text(), re.MULTILINE)
            made = [
                other for other in path.parent.glob("prepare*.yaml") if f"output: {instances}\n" in other.read_text()
            ]
            assert len(made) == 1, path
