"""The shape of the code, read off the sources: how long things are, what runs when, what says what it does.

Each rule is a function from a source to offences, tried first on a small source that breaks it.
"""

from __future__ import annotations

import ast
import statistics

from tests.sources import Source, source, sources

EVERYTHING = ("pipelines", "jobs", "examples", "benchmarks")


def runs_at_import(src: Source) -> list[str]:
    """Statements at the top of a module that are no definitions."""
    plain = (
        ast.Import
        | ast.ImportFrom
        | ast.FunctionDef
        | ast.AsyncFunctionDef
        | ast.ClassDef
        | ast.Assign
        | ast.AugAssign
        | ast.AnnAssign
    )
    offences = []
    for node in src.tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        if not (isinstance(node, plain) or docstring or guard):
            offences.append(f"{src.path}:{node.lineno} {ast.unparse(node).splitlines()[0]}")
    return offences


def swallowed(src: Source) -> list[str]:
    """Handlers of every exception that neither raise nor so much as look at what they caught."""
    handlers = [node for node in ast.walk(src.tree) if isinstance(node, ast.ExceptHandler)]
    blind = [h for h in handlers if h.type is None or ast.unparse(h.type) in ("Exception", "BaseException")]
    return [f"{src.path}:{h.lineno}" for h in blind if not any(_answers(node, h.name) for node in ast.walk(h))]


def _answers(node: ast.AST, caught: str | None) -> bool:
    return isinstance(node, ast.Raise) or (caught is not None and isinstance(node, ast.Name) and node.id == caught)


def bare(src: Source) -> list[str]:
    """Public functions of more than 8 lines without a docstring."""
    public = (node for node in src.functions() if not node.name.startswith("_") and num_lines(node) > 8)
    return [f"{src.path}:{node.lineno} {node.name}" for node in public if ast.get_docstring(node) is None]


def num_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def loops(src: Source) -> list[str]:
    return [f"{src.path}:{n.lineno}" for n in ast.walk(src.tree) if isinstance(n, ast.For | ast.AsyncFor | ast.While)]


def test_nothing_runs_at_import_but_definitions() -> None:
    good = '"""Doc."""\nimport os\nX: int = 1\nif TYPE_CHECKING:\n    import ray\ndef f(): pass\n'
    assert runs_at_import(source("a.py", good)) == []
    assert runs_at_import(source("a.py", "print(1)\nfor x in y:\n    pass\n")) == [
        "a.py:1 print(1)",
        "a.py:2 for x in y:",
    ]
    assert [line for src in sources(*EVERYTHING) for line in runs_at_import(src)] == []


def test_no_exception_is_swallowed() -> None:
    text = "try:\n    f()\nexcept {}:\n    {}\n"
    assert swallowed(source("a.py", text.format("Exception", "pass"))) == ["a.py:3"]
    assert swallowed(source("a.py", text.format("Exception as error", "return None"))) == ["a.py:3"]
    assert swallowed(source("a.py", text.format("Exception as error", "log(error)"))) == []
    assert swallowed(source("a.py", text.format("OSError", "pass"))) == []
    assert [line for src in sources(*EVERYTHING) for line in swallowed(src)] == []


def test_public_functions_say_what_they_do() -> None:
    body = "    x = 1\n" * 8
    assert bare(source("a.py", f"def f():\n{body}")) == ["a.py:1 f"]
    assert bare(source("a.py", f"def f():\n    '''Doc.'''\n{body}def _g():\n{body}")) == []
    assert [line for src in sources(*EVERYTHING) for line in bare(src)] == []


def test_functions_and_files_are_short() -> None:
    files = sources("pipelines", "jobs")
    lengths = {f"{src.path}:{node.name}": num_lines(node) for src in files for node in src.functions()}
    assert {name: length for name, length in lengths.items() if length > 60} == {}
    assert sum(length > 40 for length in lengths.values()) <= 0.02 * len(lengths)
    assert statistics.median(lengths.values()) <= 12
    everything = [*files, *sources("examples", "benchmarks")]
    assert {str(src.path): num for src in everything if (num := src.text.count("\n")) > 300} == {}


def test_jobs_only_introduce() -> None:
    assert loops(source("jobs/a.py", "def a():\n    for row in rows:\n        f(row)\n")) == ["jobs/a.py:2"]
    jobs = [src for src in sources("jobs") if src.path.name != "entry.py"]
    assert [line for src in jobs for line in loops(src)] == []
    assert {str(src.path): num for src in jobs if (num := src.text.count("\n")) > 80} == {}
