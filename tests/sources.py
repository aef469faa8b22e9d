"""The project's Python files as something to ask: what they import, which functions they hold."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
STDLIB = sys.stdlib_module_names
FIRST_PARTY = {"pipelines", "jobs", "examples", "benchmarks"}


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root of the repository, its text."""

    path: PurePosixPath
    text: str

    @property
    def module(self) -> str:
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")

    @property
    def room(self) -> str:
        """pipelines/store/lease.py: store; pipelines/spec.py: spec."""
        return PurePosixPath(self.path.parts[1]).stem

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [Source(PurePosixPath(path.relative_to(ROOT).as_posix()), path.read_text()) for path in paths]


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath(path), text)


def imports(src: Source, *, at_import_only: bool = False) -> set[str]:
    """Every dotted name that a file imports, also inside functions; ``from a import b`` counts as a.b."""
    names: set[str] = set()
    for node in _at_import(src.tree) if at_import_only else ast.walk(src.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = src.path.parts[: -node.level] if node.level else ()
            base = ".".join((*above, *((node.module,) if node.module else ())))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no function bodies, nothing under TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from _at_import(node)


def libraries(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names} - STDLIB - FIRST_PARTY


def brought_along(module: str, files: list[Source]) -> set[str]:
    """The libraries that importing a module imports, through whatever first-party modules."""
    by_module = {src.module: src for src in files}
    todo, seen, found = packages(module), set[str](), set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in by_module:
            continue
        seen.add(name)
        names = imports(by_module[name], at_import_only=True)
        found |= libraries(names)
        todo += [package for imported in names for package in packages(imported)]
    return found


def packages(name: str) -> list[str]:
    """A dotted name and all that importing it imports before: a.b.c, a.b, a."""
    parts = name.split(".")
    return [".".join(parts[:stop]) for stop in range(len(parts), 0, -1)]
