"""The notebooks run from top to bottom in a real kernel, as a reader runs them, on a little of the demo corpus.

Each starts a Ray of this machine, launches its jobs there as on a cluster, and ends it in its last cell.
"""

from __future__ import annotations

import ast
import base64
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import nbformat
import numpy as np
import psutil
import pyarrow.dataset as ds
import pytest
from nbclient import NotebookClient

from pipelines.store.training_output import FINISHED
from tests.sources import ROOT

BOOKS = ("embed", "pretrain")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def book_of(name: str) -> Any:
    return nbformat.read(ROOT / f"examples/{name}.ipynb", as_version=4)


def codes(book: Any) -> list[str]:
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", BOOKS)
def test_no_output_is_stored(name: str) -> None:
    """It would be large, and old with every change: whoever wants to see it runs the notebook."""
    book = book_of(name)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
    assert [cell.id for cell in book.cells] == [f"cell-{number:02d}" for number in range(1, len(book.cells) + 1)]
    assert set(book.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", BOOKS)
def test_settings_stand_in_one_cell_and_the_last_cell_ends_it(name: str) -> None:
    first, *others = codes(book_of(name))
    settings = re.findall(r'^([A-Z]+) = .*environ\.get\("([A-Z]+)"', first, re.MULTILINE)
    assert len(settings) == 4
    assert all(name == variable for name, variable in settings)
    assert not any("environ" in other for other in others)
    assert others[-1].splitlines()[-1] == "stop_ray()"
    assert all(ast.parse(code) for code in (first, *others))


@dataclass(frozen=True)
class Done:
    """What a notebook came to: the outputs of each cell, found by a word of its code."""

    book: Any

    def outputs(self, word: str) -> list[Any]:
        (cell,) = (cell for cell in self.book.cells if cell.cell_type == "code" and word in cell.source)
        return list(cell.outputs)

    def said(self, word: str, stream: str = "stdout") -> str:
        """What it printed, without colours."""
        outputs = self.outputs(word)
        return ANSI.sub("", "".join(o.text for o in outputs if o.output_type == "stream" and o.name == stream))

    def shown(self, word: str, kind: str = "text/plain") -> list[str]:
        """What it displayed that has this type."""
        return [o.data[kind] for o in self.outputs(word) if "data" in o and kind in o.data]

    @property
    def errors(self) -> list[Any]:
        return [o for cell in self.book.cells for o in cell.get("outputs", ()) if o.output_type == "error"]


@contextmanager
def folder_for_ray() -> Iterator[str]:
    """A short path, as sockets' must be."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def run(name: str, settings: Mapping[str, str]) -> Done:
    """Run a notebook from where Jupyter would; no process of it is left."""
    mark = f"MANTA_TEST_NOTEBOOK_{name.upper()}_{os.getpid()}"
    book = book_of(name)
    with folder_for_ray() as folder:
        own = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        client = NotebookClient(
            book, timeout=250, kernel_name="python3", resources={"metadata": {"path": str(ROOT / "examples")}}
        )
        client.execute(env=own | {mark: "1", "RAY_TMPDIR": folder} | settings)
        assert left_with(mark) == []
    return Done(book)


def left_with(mark: str) -> list[psutil.Process]:
    """The processes that have this variable and do not end."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if mark in process.environ():
                found.append(process)
    return psutil.wait_procs(found, timeout=10)[1]


def picture(png: str) -> Any:
    """Its pixels, [height, width, 4] from 0 to 1."""
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(png)))


def ink(pixels: Any) -> float:
    """Share of the pixels that are not white."""
    return float(np.mean(np.any(pixels[..., :3] < 0.98, axis=-1)))


@pytest.mark.timeout(300)
def test_a_corpus_is_embedded_searched_and_drawn(tmp_path: Path) -> None:
    question = "How shall we live in peace with the Indian tribes?"
    done = run("embed", {"ROWS": "300", "DATA": str(tmp_path), "QUESTION": question})
    assert done.errors == []
    assert "23,880 paragraphs" in done.said("demo_corpus.write")
    assert "shape: (3, 4)" in done.shown(".take(3)")[0]
    assert "1790-Washington-1-1" in done.shown(".take(3)")[0]
    (progress,) = done.shown("run.wait()")  # one line that was shown anew, and no flood of them
    assert re.match(r"succeeded in \d+:\d\d  300 of 300 documents \(100 %\)", progress)
    assert "<progress" in done.shown("run.wait()", "text/html")[0]
    assert done.said("run.wait()").startswith("embed ")
    assert '"phase"' not in done.said("run.wait()")
    assert "James Monroe" in done.shown("duckdb.sql")[0]
    first, *found = re.split(r"\n(?=\d\.\d{3}  )", done.said("nearest("))
    assert first.strip() == question
    assert len(found) == 3
    assert all("Indian" in one or "tribes" in one for one in found)
    (png,) = done.shown("np.linalg.svd", "image/png")
    pixels = picture(png)
    assert pixels.shape[0] > 700
    assert pixels.shape[1] > 1000
    assert ink(pixels) > 0.02
    assert len(np.unique((pixels[..., :3] * 32).astype(int).reshape(-1, 3), axis=0)) > 100  # the years' colours
    assert ds.dataset(tmp_path / "sotu-map/parts").count_rows() == 300
    assert done.said("run.wait()", "stderr").startswith("launched embed-")


@pytest.mark.timeout(300)
def test_a_model_learns_and_fills_masks(tmp_path: Path) -> None:
    done = run("pretrain", {"STEPS": "4", "SPEECHES": "24", "DATA": str(tmp_path)})
    assert done.errors == []
    assert "24 of 24 documents (100 %)" in done.shown('launch("prepare"')[0]
    progress, curves = done.shown('launch("pretrain"')
    assert re.match(r"succeeded in \d+:\d\d  step 4 \(100 %\), mlm \d\.\d+, nsp \d\.\d+", progress)
    assert curves == "curves of 4 rows"
    (png,) = done.shown('launch("pretrain"', "image/png")
    assert ink(picture(png)) > 0.02
    told = done.said('launch("pretrain"')
    assert len(re.findall(r"^held out at step \d: mlm", told, re.MULTILINE)) >= 4
    assert '"loss_mlm"' not in told
    filled = done.said("Predictor(").splitlines()
    assert len(filled) == 4
    assert all(re.search(r"\[[^\[\]]+\]", line) and "MASK" not in line for line in filled)
    (png,) = done.shown("barh", "image/png")
    assert ink(picture(png)) > 0.01
    assert (tmp_path / "sotu-bert-4" / FINISHED).is_file()
    assert (tmp_path / "sotu-bert-4/config.json").is_file()
