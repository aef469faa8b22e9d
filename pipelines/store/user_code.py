"""The user's own Python code: it travels with a run as bytes, and is laid on each node, to be imported from there."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from pipelines.errors import SpecError, StoreError
from pipelines.store.cache import cache_folder
from pipelines.store.model_files import model_hash

MOST_BYTES = 2**20
"""Most bytes of a folder's Python files: they go into each actor's arguments."""


@dataclass(frozen=True, kw_only=True)
class UserCode:
    """The Python files of a folder. Picklable, and good on every node."""

    files: tuple[tuple[str, bytes], ...] = field(repr=False)
    """Path under the folder, with slashes, and content; in order of their paths."""
    hash: str
    """SHA-256 over paths and contents, 64 hexadecimal digits."""

    @property
    def modules(self) -> list[str]:
        """What can be imported: the names at the top of the folder."""
        return sorted({name.split("/")[0].removesuffix(".py") for name, _ in self.files})


def read_user_code(folder: str) -> UserCode:
    """Every .py file under a local folder; hidden folders and __pycache__ are left out.

    SpecError where there is no such folder or no such file, and where the files are no code alone: over MOST_BYTES.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        kind = "is a file: name the folder that holds it" if root.is_file() else "is not there: name a folder of yours"
        raise SpecError(f"user_code {folder} {kind}")
    paths = sorted(_python_files(root))
    if not paths:
        raise SpecError(f"user_code {folder} holds no .py file: name the folder that your class's module lies in")
    num_bytes = sum((root / path).stat().st_size for path in paths)
    if num_bytes > MOST_BYTES:
        raise SpecError(
            f"user_code {folder} holds {len(paths)} .py files of {num_bytes:,} bytes, more than {MOST_BYTES:,}: name a "
            "folder that holds the code of your class alone"
        )
    files = tuple((path, (root / path).read_bytes()) for path in paths)
    return UserCode(files=files, hash=model_hash({path: hashlib.sha256(data).hexdigest() for path, data in files}))


def _python_files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield from (
            Path(folder, name).relative_to(root).as_posix()
            for name in names
            if name.endswith(".py") and not name.startswith(".") and Path(folder, name).is_file()
        )


def put_on_path(code: UserCode, module: str) -> Path:
    """Lay the code on this node and let this process import from it. It gives the folder.

    What is installed goes before, so that no name of the user's stands in the way of Ray's or torch's; SpecError where
    the name of ``module`` itself is taken, or not in the code. Other editions that this process has imported are
    forgotten: a notebook tries one after another, and Ray uses the processes of its tasks again.
    """
    top = module.split(".")[0]
    if top not in code.modules:
        raise SpecError(
            f"module {top} is not in user_code, which holds {', '.join(code.modules)}: name the class by its path from "
            f"there, such as {code.modules[0]}.MyBert"
        )
    folder = lay(code)
    laid = folder.parent
    sys.path[:] = [path for path in sys.path if Path(path).parent != laid]
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    _forget(lambda name, file: laid in file.parents and folder not in file.parents)
    _require_ours(code, top, folder)
    _forget(lambda name, file: name.split(".")[0] == top and folder not in file.parents)
    return folder


def lay(code: UserCode) -> Path:
    """The folder on this node that holds the code. Many processes may ask at once: one writes, the others wait.

    It is written aside and put in its place in one move. StoreError where it cannot be written.
    """
    folder = cache_folder() / "user_code" / code.hash
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not _holds(folder, code):
                _write(folder, code)
    except OSError as error:
        raise StoreError(
            f"user_code cannot be written into {folder} ({error}): make room there, or set MANTA_CACHE to another "
            "folder, and run again"
        ) from error
    return folder


def _holds(folder: Path, code: UserCode) -> bool:
    try:
        return all((folder / path).read_bytes() == data for path, data in code.files)
    except OSError:
        return False


def _write(folder: Path, code: UserCode) -> None:
    aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    try:
        for path, data in code.files:
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_bytes(data)
        shutil.rmtree(folder, ignore_errors=True)  # there only if somebody damaged it
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _forget(which: Callable[[str, Path], bool]) -> None:
    """Let modules be imported anew, of which this holds for their name and file."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and which(name, Path(file)):
            del sys.modules[name]


def _require_ours(code: UserCode, top: str, folder: Path) -> None:
    """SpecError where the name leads to another module than the code's; a copy of the same file is as good."""
    try:
        found = importlib.util.find_spec(top)
    except ValueError:  # a module that was put into sys.modules without a spec
        found = None
    files = dict(code.files)
    ours = files.get(f"{top}/__init__.py", files.get(f"{top}.py"))
    if found and ours is not None and found.has_location and Path(str(found.origin)).read_bytes() == ours:
        return
    if found and ours is None and str(folder / top) in (found.submodule_search_locations or []):
        return
    where = (found and found.origin) or "another module"
    raise SpecError(f"module {top} of user_code has the name of {where}, which is found first: give it another name")
