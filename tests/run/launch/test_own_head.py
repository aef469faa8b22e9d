"""What is around the start of a Ray that takes jobs, and what is left behind; a real one: tests/jobs/test_head.py."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ray._private import parameter

from pipelines.run.launch.own_head import own_head


def test_it_is_all_as_before_once_ray_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Any] = []
    monkeypatch.setattr(atexit, "register", lambda function, *given: left.append(partial(function, *given)))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin")
    told: list[str] = []
    with suppress(OSError), own_head(lambda: told.append("stopped")):
        folder = Path(os.environ["RAY_TMPDIR"])
        assert folder.parent == tmp_path
        assert os.environ["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/bin"
        assert parameter.RayParams().dashboard_agent_listen_port == 0
        raise OSError("no Ray")
    assert (os.environ["RAY_TMPDIR"], os.environ["PATH"]) == (str(tmp_path), "/bin")
    assert parameter.RayParams().dashboard_agent_listen_port != 0
    assert folder.is_dir()
    for leave in left:
        leave()
    assert told == ["stopped"]
    assert not folder.exists()


def test_without_a_folder_of_the_environment_it_is_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Any] = []
    monkeypatch.setattr(atexit, "register", lambda function, *given: left.append(partial(function, *given)))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    with own_head(lambda: None):
        assert len(os.environ["RAY_TMPDIR"]) < 20
    assert "RAY_TMPDIR" not in os.environ
    for leave in left:
        leave()
