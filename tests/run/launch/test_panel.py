"""A job's log in a notebook: one line that changes, curves, and below them what the job says; elsewhere the log."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.run.launch.panel import CURVES_SECONDS, Panel, Plain, screen_here, told_here
from pipelines.run.progress import State

PNG = b"\x89PNG"


class Cell:
    """A cell's outputs by place, and the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.places: dict[str, Mapping[str, Any]] = {}
        self.panel = Panel("a job", self.publish, lambda: self.now)

    def publish(self, name: str, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self.places[name] = data

    def tell(self, *lines: str | dict[str, Any]) -> str:
        """More lines of the log; the line that is shown then."""
        self.panel.take("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        self.panel.refresh()
        return str(self.places["progress"]["text/plain"])


@pytest.fixture
def cell() -> Cell:
    return Cell()


def state(**changes: Any) -> dict[str, Any]:
    return asdict(State(**changes)) | {"last": False}


def row(step: int) -> dict[str, float]:
    return {"seconds": 1.0, "step": step, "progress": step / 10, "loss_mlm": 7.0 - step, "learning_rate": 1e-3}


def test_one_line_tells_how_far_it_is(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    cell.now += 3
    assert cell.tell() == "starting  0:03"
    assert "<progress max" in cell.places["progress"]["text/html"]  # it moves to and fro
    assert cell.tell(state(phase="plan")) == "plan  0:03"
    told = cell.tell(state(phase="encode", documents=12, total_documents=48, slices=1, total_slices=4))
    assert told == "encode  12 of 48 documents (25 %), 1 of 4 slices, 0 dead letters"
    assert '<b>encode</b> <progress value="0.2500" max="1"' in cell.places["progress"]["text/html"]
    cell.tell(state(phase="encode", documents=48, total_documents=48, slices=4, total_slices=4))
    cell.now += 65
    cell.panel.end("succeeded")
    shown = cell.places["progress"]
    assert shown["text/plain"] == "succeeded in 1:08  48 of 48 documents (100 %), 4 of 4 slices, 0 dead letters"
    assert 'value="1.0000"' in shown["text/html"]
    assert capsys.readouterr().out == ""


def test_what_else_the_job_says_stays_as_it_is(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what is half a line when it is looked at, what looks like JSON, and what has no end."""
    cell.panel.take("2026-11-26 20:08:14,570\tINFO job_manager.py:581 -- Runtime env is setting up.\n")
    cell.tell("Running entrypoint for job x: exec python", {"seconds": 1.0, "say": "takeover in 12 s"}, "", "a report")
    cell.panel.take("{not ")
    cell.panel.refresh()
    assert capsys.readouterr().out == "takeover in 12 s\n\na report\n"
    cell.tell("JSON}", '{"tokens": ["a"]}', "[1, 2]")
    cell.panel.take("the last")
    cell.panel.end("failed")
    assert capsys.readouterr().out == '{not JSON}\n{"tokens": ["a"]}\n[1, 2]\nthe last\n'
    assert cell.places["progress"]["text/plain"] == "failed in 0:00"
    assert 'value="0.0000"' in cell.places["progress"]["text/html"]


def test_what_is_shown_is_text_and_no_html(cell: Cell) -> None:
    cell.tell(state(phase="encode", waiting="<b>a node</b>"))
    assert "&lt;b&gt;a node&lt;/b&gt;" in cell.places["progress"]["text/html"]


def test_curves_are_drawn_now_and_then_and_at_the_end(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    assert cell.tell(row(1)) == "train  step 1 (10 %), mlm 6.000"
    assert cell.places["curves"] == {"text/plain": ""}
    cell.tell(row(2), {"seconds": 2.0, "say": "held out at step 2", "evaluation": {"step": 2, "loss_mlm": 5.5}})
    assert capsys.readouterr().out == "held out at step 2\n"
    assert "image/png" not in cell.places["curves"]
    cell.now += CURVES_SECONDS
    cell.tell(row(3))
    first = cell.places["curves"]
    assert first["text/plain"] == "curves of 3 rows"
    assert first["image/png"].startswith(PNG)
    cell.now += CURVES_SECONDS
    cell.tell()
    assert cell.places["curves"] is first  # there is nothing new to draw
    cell.tell(row(10))
    cell.panel.end("succeeded")
    assert cell.places["curves"]["text/plain"] == "curves of 4 rows"
    assert cell.places["progress"]["text/plain"].startswith("succeeded in 0:20  step 10 (100 %)")


def test_elsewhere_the_log_is_shown_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    assert told_here() == {}
    screen = screen_here("a job")
    assert isinstance(screen, Plain)
    screen.take('{"seconds": 1')
    screen.take("}\nlast")
    screen.refresh()
    screen.end("succeeded")
    assert capsys.readouterr().out == '{"seconds": 1}\nlast'


def test_in_a_notebook_places_are_shown_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """By messages as kernels send them; pictures are in base64. (A real kernel: tests/examples.)"""
    sent: list[dict[str, Any]] = []
    shell = SimpleNamespace(kernel=object(), display_pub=SimpleNamespace(publish=lambda **all: sent.append(all)))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert told_here() == {"progress": "json"}
    screen = screen_here("a job")
    screen.take("".join(json.dumps(row(step)) + "\n" for step in (1, 2)))
    screen.end("succeeded")
    places = [message["transient"]["display_id"] for message in sent]
    assert [place.split("-")[1] for place in places] == ["curves", "progress", "progress", "curves"]
    assert len(set(places)) == 2
    assert [message["update"] for message in sent] == [False, False, True, True]
    assert base64.b64decode(sent[-1]["data"]["image/png"]).startswith(PNG)
    assert sent[-1]["metadata"]["image/png"]["width"] > 0
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert told_here() == {}  # IPython in a terminal
