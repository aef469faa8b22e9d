"""A folder of Python files travels as bytes, is laid where it is needed, and what is imported is what was read."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.store.user_code import MOST_BYTES, UserCode, lay, put_on_path, read_user_code


@pytest.fixture(autouse=True)
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of the test's own, and a process that imports as before afterwards."""
    monkeypatch.setenv("MANTA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    """Python files by name, "__" for a slash."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_python_files_are_read_and_nothing_else(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", my_models="A = 1", parts__layers="B = 2", tests__x="")
    (folder / "weights.bin").write_bytes(b"x" * 2 * MOST_BYTES)
    for name in (".venv/x.py", "__pycache__/y.py", ".hidden.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    code = read_user_code(str(folder))
    assert code.files == (("my_models.py", b"A = 1"), ("parts/layers.py", b"B = 2"), ("tests/x.py", b""))
    assert code.modules == ["my_models", "parts", "tests"]
    assert pickle.loads(pickle.dumps(code)) == code


def test_paths_and_contents_count_and_nothing_else(tmp_path: Path) -> None:
    first = write(tmp_path / "a", my_models="A = 1", other="")
    second = write(tmp_path / "b", my_models="A = 1", other="")
    hashes = [read_user_code(str(folder)).hash for folder in (first, second)]
    os.utime(first / "other.py", (1, 1))
    hashes.append(read_user_code(str(first)).hash)
    assert len(set(hashes)) == 1
    others = [
        write(tmp_path / "c", my_models="A = 2", other=""),
        write(tmp_path / "d", my_models="A = 1", another=""),
        write(tmp_path / "e", my_models="A = 1", other="", third=""),
    ]
    assert len({hashes[0], *(read_user_code(str(folder)).hash for folder in others)}) == 4


def test_what_is_no_folder_of_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"user_code .*/none is not there: name a folder"):
        read_user_code(str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"holds no .py file"):
        read_user_code(str(tmp_path / "empty"))
    folder = write(tmp_path / "code", my_models="A = 1")
    with pytest.raises(SpecError, match=r"my_models.py is a file: name the folder that holds it"):
        read_user_code(str(folder / "my_models.py"))
    write(folder, big="#" * MOST_BYTES)
    with pytest.raises(SpecError, match=r"holds 2 .py files of 1,048,581 bytes, more than 1,048,576"):
        read_user_code(str(folder))


def test_it_is_imported_from_where_it_was_laid(tmp_path: Path) -> None:
    folder = write(tmp_path / "code", mine_a="import mine_b\nA = mine_b.B", mine_b="B = 2", deep__er__leaf="C = 3")
    laid = put_on_path(read_user_code(str(folder)), "mine_a")
    assert importlib.import_module("mine_a").A == 2
    assert importlib.import_module("mine_b").__file__ == str(laid / "mine_b.py")
    assert (tmp_path / "cache") in laid.parents
    assert put_on_path(read_user_code(str(folder)), "deep.er.leaf") == laid
    assert importlib.import_module("deep.er.leaf").C == 3
    assert sys.path.count(str(laid)) == 1


def test_another_edition_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for number in (1, 2, 1):
        folder = write(tmp_path / "code", mine_a="from mine_b import B", mine_b=f"B = {number}")
        put_on_path(read_user_code(str(folder)), "mine_a")
        assert number == importlib.import_module("mine_a").B


def test_an_edition_that_was_imported_from_its_own_folder_is_forgotten(tmp_path: Path) -> None:
    """As in a notebook that stands in the folder: the file is found there first, and was changed since."""
    folder = write(tmp_path / "code", mine_a="A = 1")
    sys.path.insert(0, str(folder))
    assert importlib.import_module("mine_a").A == 1
    write(folder, mine_a="A = 1 + 1")
    put_on_path(read_user_code(str(folder)), "mine_a")
    assert importlib.import_module("mine_a").A == 2


def test_a_name_that_is_taken_or_missing_is_refused(tmp_path: Path) -> None:
    code = read_user_code(str(write(tmp_path / "code", json="A = 1", mine_a="", sys="", pyarrow__x="")))
    with pytest.raises(SpecError, match=r"module json of user_code has the name of .*json/__init__.py, which is found"):
        put_on_path(code, "json")
    with pytest.raises(SpecError, match="module sys of user_code has the name of built-in"):
        put_on_path(code, "sys")
    with pytest.raises(SpecError, match="module pyarrow of user_code has the name of"):
        put_on_path(code, "pyarrow.x")
    with pytest.raises(SpecError, match="module my_models is not in user_code, which holds json, mine_a, pyarrow, sys"):
        put_on_path(code, "my_models")
    assert "json" in sys.modules


def test_damage_is_mended(tmp_path: Path) -> None:
    code = read_user_code(str(write(tmp_path / "code", mine_a="A = 1", mine_b="")))
    laid = lay(code)
    (laid / "mine_a.py").write_text("A = 3")
    assert (lay(code) / "mine_a.py").read_text() == "A = 1"
    (laid / "mine_b.py").unlink()
    assert (lay(code) / "mine_b.py").read_text() == ""
    assert {path.suffix for path in laid.parent.iterdir()} == {"", ".lock"}  # nothing aside is left


def test_many_processes_lay_it_at_once(tmp_path: Path) -> None:
    code = UserCode(files=tuple((f"m{n:03d}.py", b"A = 1\n" * 500) for n in range(200)), hash="ab" * 32)
    (tmp_path / "code").write_bytes(pickle.dumps(code))
    script = (
        "import pickle, sys; from pathlib import Path; from pipelines.store.user_code import lay;"
        "code = pickle.loads(Path(sys.argv[1]).read_bytes()); laid = lay(code);"
        "sys.exit(any((laid / name).read_bytes() != data for name, data in code.files))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "code")]
    started = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(100) for process in started] == [0] * 4


def test_where_it_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(StoreError, match=r"user_code cannot be written into .*set MANTA_CACHE"):
        lay(UserCode(files=(("a.py", b""),), hash="0" * 64))
