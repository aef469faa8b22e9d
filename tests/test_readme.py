"""The README is true: its commands and its Python run here, one after the other as a reader would type them.

They run in a folder with links to the house, on the demo corpus, with ``--limit 512`` made smaller to save minutes.
``make test`` is what CI itself runs; ``ray job submit`` runs in tests/faults, on a head with a job server.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text()
LIMIT = ("--limit 512", "--limit 40")


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, s3):
    """A folder as a reader has it: the house, the demo corpus on disk and in a bucket, vectors by the config file."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("jobs", "pipelines", "examples"):
        (folder / name).symlink_to(HOUSE / name)
    run([sys.executable, "-m", "examples.demo_corpus", "--output", "build/sotu"], folder)
    client = s3.client()
    for bucket in ("corpus", "vectors"):
        client.call_s3("create_bucket", Bucket=bucket)
    client.put(str(folder / "build/sotu/sotu-00-of-08.parquet"), "corpus/sotu/sotu-00-of-08.parquet")
    run(["bash", "-ec", shortened("python -m jobs.embed --config examples/embed-sotu.yaml --limit 512")], folder)
    return folder


def shortened(command: str) -> str:
    return command.replace(*LIMIT)


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return done.stdout


def commands() -> list[str]:
    return [block for block in blocks("bash") if "ray job submit" not in block]


def test_the_examples_are_there():
    assert len(commands()) >= 5
    assert len(blocks("python")) >= 5
    assert all("--limit 512" in block or "--text" in block for block in blocks("bash"))


@pytest.mark.parametrize("command", commands())
def test_command(command, desk):
    told = run(["bash", "-ec", shortened(command)], desk)
    assert told.startswith(("embed", "[-0.", "[0."))


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code, desk):
    told = run([sys.executable, "-c", code], desk)
    assert told or "print" not in code


def test_the_outputs_are_as_the_readme_says(desk, s3):
    part = next((desk / "build/sotu-vectors/parts").rglob("*.parquet"))
    table = pq.read_table(part)
    assert table.column_names == ["id", "embedding", "num_tokens", "truncated", "year", "president"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[384]"
    assert b"manta.model_hash" in table.schema.metadata
    assert {key.split("/")[1] for key in s3.keys("vectors")} == {"parts", "_manta"}


def test_every_flag_named_is_a_flag():
    help_text = subprocess.run(
        [sys.executable, "-m", "jobs.embed", "--help"], cwd=HOUSE, capture_output=True, text=True, check=True
    ).stdout
    flags = set(re.findall(r"--([a-z_]+(?:\.[a-z_]+)*)", README)) - {"working"}
    assert {flag for flag in flags if f"--{flag}" not in help_text} == set()


def test_every_file_named_is_there():
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert linked
    assert [name for name in linked if not (HOUSE / name).exists()] == []
