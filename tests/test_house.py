"""The rules of the house, read off the sources: who may import whom, what is called what, where its test is.

Each rule is a function from sources to offences, tried first on a small source that breaks it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from tests.sources import FIRST_PARTY, ROOT, STDLIB, Source, brought_along, imports, libraries, source, sources

NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "smtplib", "asyncio", "xmlrpc", "socketserver"}

# What a room may import: libraries beside the standard one (run, stages and train: any), rooms beside itself.
LIBRARIES = {
    "errors": set(),
    "spec": set(),
    "predict_spec": set(),
    "fingerprint": set(),
    "learning_spec": set(),
    "pretrain_spec": set(),
    "prepare_spec": set(),
    "finetune_spec": set(),
    "example_spec": set(),
    "evaluation_spec": set(),
    "convert_spec": set(),
    "schema": {"numpy", "pyarrow"},
    "instances": {"pyarrow"},
    "examples": {"pyarrow"},
    "text": {"numpy"},
    "model": {"numpy", "torch", "transformers", "tokenizers", "safetensors"},
    "store": {
        "numpy",
        "pyarrow",
        "fsspec",
        "s3fs",
        "aiobotocore",
        "boto3",
        "botocore",
        "huggingface_hub",
        "psutil",
        "filelock",
    },
}
SPECS = {"errors", "spec", "predict_spec", "prepare_spec", "learning_spec", "pretrain_spec", "finetune_spec",
         "example_spec", "evaluation_spec", "convert_spec"}  # fmt: skip
CONTRACTS = {"fingerprint", "schema", "instances", "examples"}
ROOMS = {
    "errors": set(),
    "spec": {"errors"},
    "predict_spec": {"spec"},
    "fingerprint": set(),
    "learning_spec": {"errors", "spec"},
    "pretrain_spec": {"learning_spec", "spec"},
    "finetune_spec": {"learning_spec", "spec"},
    "example_spec": {"finetune_spec", "spec"},
    "prepare_spec": {"errors", "spec"},
    "evaluation_spec": {"spec"},
    "convert_spec": {"spec"},
    "schema": {"errors"},
    "instances": set(),
    "examples": {"instances"},
    "text": {"errors"},
    "model": {*SPECS, "text"},
    "store": {"errors", "spec", *CONTRACTS},
    "stages": {*SPECS, *CONTRACTS, "text", "model", "store"},
    "train": {*SPECS, *CONTRACTS, "text", "model", "store"},
    "run": {*SPECS, *CONTRACTS, "text", "model", "store", "stages", "train"},
}
# Modules that are imported where start-up time or a bare machine counts, and what they must not bring along.
LIGHT = {
    "pipelines.model.folder": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.model.abilities": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.model.fit": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.model.labels": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.model.architecture": {"torch", "transformers"},
    "pipelines.model.objectives": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.model.presets": {"numpy", "torch", "transformers", "tokenizers"},
    "pipelines.run.answers.answer": {"ray"},
    "pipelines.run.finetune.examples": {"torch", "transformers"},
    "pipelines.run.local": {"ray"},
    "pipelines.run.plan": {"torch", "transformers"},
    "pipelines.stages.tokenize": {"torch", "transformers"},
    "jobs.convert": {"torch", "transformers"},
    "jobs.embed": {"torch", "transformers"},
    "jobs.evaluate": {"torch", "transformers", "torchmetrics", "scipy", "matplotlib"},
    "jobs.launch": {"torch", "transformers"},
    "jobs.predict": {"torch", "transformers"},
    "jobs.prepare": {"torch", "transformers"},
    "jobs.runs": {"ray", "torch", "transformers"},
}


def walls(files: list[Source]) -> list[str]:
    """Imports that go through a wall of pipelines/."""
    offences = []
    for src in files:
        names = imports(src)
        rooms = {PurePosixPath(name.split(".")[1]).stem for name in names if name.startswith("pipelines.")}
        allowed = ROOMS.get(src.room, set()) | {src.room}
        offences += [f"{src.path} imports pipelines.{room}" for room in sorted(rooms - allowed)]
        offences += [
            f"{src.path} imports {name}" for name in sorted(names) if name.split(".")[0] in FIRST_PARTY - {"pipelines"}
        ]
        if src.room in LIBRARIES:
            offences += [f"{src.path} imports {name}" for name in sorted(libraries(names) - LIBRARIES[src.room])]
        if src.room == "model":
            offences += [f"{src.path} imports {name}" for name in sorted(names) if name.split(".")[0] in NETWORK]
    return offences


def calls_of_ray_init(files: list[Source]) -> list[str]:
    found = [
        src
        for src in files
        if any(ast.unparse(n.func) == "ray.init" for n in ast.walk(src.tree) if isinstance(n, ast.Call))
    ]
    return [str(src.path) for src in found]


def test_walls_notice_what_goes_through_them() -> None:
    bad = [
        source("pipelines/text/pack.py", "import numpy as np\nimport torch\nfrom pipelines.model import folder\n"),
        source("pipelines/model/encoder.py", "def f():\n    import ray.data\n    import urllib.request\n"),
        source("pipelines/store/shards.py", "from torch.nn import functional\nimport pyarrow.parquet as pq\n"),
        source("pipelines/stages/encode.py", "from pipelines.train.feed import Feed\nimport ray\n"),
        source("pipelines/train/loop.py", "from ..stages import read\n"),
        source("pipelines/run/embed.py", "from jobs import entry\n"),
    ]
    assert walls(bad) == [
        "pipelines/text/pack.py imports pipelines.model",
        "pipelines/text/pack.py imports torch",
        "pipelines/model/encoder.py imports ray",
        "pipelines/model/encoder.py imports urllib.request",
        "pipelines/store/shards.py imports torch",
        "pipelines/stages/encode.py imports pipelines.train",
        "pipelines/train/loop.py imports pipelines.stages",
        "pipelines/run/embed.py imports jobs.entry",
    ]
    assert (
        walls(
            [source("pipelines/store/parts.py", "import os\nimport pyarrow as pa\nfrom pipelines.schema import fold\n")]
        )
        == []
    )


def test_walls_stand() -> None:
    assert walls(sources("pipelines")) == []


def test_what_a_module_brings_along_is_found_through_others() -> None:
    files = [
        source("pipelines/run/local.py", "from pipelines.stages.read import x\n"),
        source("pipelines/stages/__init__.py", "import pyarrow\n"),
        source(
            "pipelines/stages/read.py",
            "import ray.data\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import s3fs\n",
        ),
    ]
    assert brought_along("pipelines.run.local", files) == {"ray", "pyarrow"}


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_bring_nothing_heavy_along(module: str) -> None:
    files = sources("pipelines", "jobs")
    assert module in {src.module for src in files}
    assert brought_along(module, files) & LIGHT[module] == set()


def test_ray_starts_in_the_door_of_the_jobs_alone() -> None:
    assert calls_of_ray_init([source("pipelines/run/x.py", "import ray\ndef f():\n    ray.init()\n")]) == [
        "pipelines/run/x.py"
    ]
    assert calls_of_ray_init(sources("pipelines", "jobs", "examples")) == ["jobs/entry.py"]


def misnamed(paths: list[str]) -> list[str]:
    """Modules of no field, and jobs that would shadow the standard library in ``python jobs/x.py``."""
    nameless = [
        path for path in paths if {"utils", "helpers", "common"} & set(PurePosixPath(path).with_suffix("").parts)
    ]
    jobs = [path for path in paths if path.startswith("jobs/")]
    return nameless + [path for path in jobs if PurePosixPath(path).stem in STDLIB]


def mirror(path: PurePosixPath) -> PurePosixPath:
    """Where a module's test is: jobs/embed.py -> tests/jobs/test_embed.py, pipelines/spec.py -> tests/test_spec.py."""
    parts = path.parts[1:] if path.parts[0] == "pipelines" else path.parts
    return PurePosixPath("tests", *parts[:-1], f"test_{path.name}")


def tracked() -> list[Path]:
    """The files of the repository that git knows; all but what is made here where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    made = {".git", ".venv", "build"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.relative_to(ROOT).parts)]


def test_names_say_what_they_are() -> None:
    assert misnamed(
        ["pipelines/utils.py", "jobs/profile.py", "jobs/embed.py", "pipelines/common/x.py", "pipelines/run/queue.py"]
    ) == [
        "pipelines/utils.py",
        "pipelines/common/x.py",
        "jobs/profile.py",
    ]
    files = sources("pipelines", "jobs", "examples", "benchmarks", "tests")
    assert misnamed([str(src.path) for src in files]) == []


def test_every_module_has_its_test() -> None:
    assert str(mirror(PurePosixPath("pipelines/store/lease.py"))) == "tests/store/test_lease.py"
    assert str(mirror(PurePosixPath("jobs/embed.py"))) == "tests/jobs/test_embed.py"
    modules = [src.path for src in sources("pipelines", "jobs", "examples", "benchmarks") if src.text.strip()]
    assert [str(path) for path in modules if not (ROOT / mirror(path)).is_file()] == []


def test_the_repository_speaks_of_itself_alone() -> None:
    own_machine = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]"]
    hosts = [
        "py" + r"pi\.org",
        "pythonhosted" + r"\.org",
        "np" + r"mjs\.org",
        "deb" + r"ian\.org",
        "--" + "(extra-)?index-url [^P$]",
    ]
    private = re.compile(r"(?<![\w.}])(" + "|".join(own_machine) + ")|" + "|".join(hosts))
    assert private.search("open('/wo" + "rk/x')")
    assert private.search("https://py" + "pi.org/simple")
    assert not private.search("a network/of/paths")
    texts = {path: path.read_text(errors="ignore") for path in tracked()}
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if private.search(text)] == []
