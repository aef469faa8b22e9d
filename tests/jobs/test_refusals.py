from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from jobs import entry
from jobs.refusals import plainly
from pipelines.spec import EmbedSpec, EncodePool

NO_POOL = EncodePool()


def job(
    spec: EmbedSpec, gpu: EncodePool = NO_POOL, limit: int = 0, share: float = 0.5, mode: Literal["a", "b"] = "a"
) -> int:
    """A job for the tests.

    Args:
        spec: What decides the result.
        gpu: What decides the speed.
        limit: How many.
        share: How much.
        mode: How.
    """
    return 0


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert entry.run(job, argv) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--limit", "ten"], "--limit is 'ten': write a whole number"),
        (["--share", "half"], "--share is 'half': write a number"),
        (["--mode", "c"], "--mode is 'c': write one of a, b"),
        (["--gpu.max_actors", "many"], "--gpu.max_actors is 'many': write a whole number or auto"),
        (["--gpu.device", "tpu"], "--gpu.device is 'tpu': write one of auto, cpu, cuda"),
        (["--gpu.compile", "perhaps"], "--gpu.compile is 'perhaps': write true or false"),
        (["--spec.passthrough", "year"], "--spec.passthrough is 'year': write \"[a, b]\""),
        (["--spec.poling", "mean"], "there is no flag --spec.poling: did you mean --spec.pooling?"),
        (["--spec.poling=mean"], "there is no flag --spec.poling: did you mean --spec.pooling?"),
        (["--lim", "1"], "there is no flag --lim: did you mean --limit?"),
        (["--qqq"], "there is no flag --qqq: see python -m jobs.job --help"),
        (["extra"], "'extra' belongs to no flag: write a glob in quotes, and a list as \"[a, b]\""),
        (["--limit", "1", "x/b", "x/c"], "'x/b' belongs to no flag: write a glob in quotes, and a list as \"[a, b]\""),
        (["--limit"], "argument --limit: expected one argument: see python -m jobs.job --help"),
    ],
)
def test_flags(flags: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(["--spec.model", "m", *flags], capsys) == f"SpecError: {line}\n"


def test_a_flag_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal([], capsys) == "SpecError: --spec.model is missing: see python -m jobs.job --help\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limit: [1\nmode: a\n", "--config {path}: this is no YAML: while parsing a flow sequence at line 1, column 8"),
        ("spec:\n  model: m\n  poling: mean\n", "there is no flag --spec.poling: did you mean --spec.pooling?"),
        ("spec:\n  model: m\nlimits: 1\n", "there is no flag --limits: did you mean --limit?"),
        ("spec:\n  model: m\nlimit: ten\n", "--limit is 'ten': write a whole number"),
        ("spec:\n  model: m\n  dim: 0\n", "EmbedSpec.dim is 0: write a number of at least 1"),
        (None, "--config {path}: there is no such file"),
    ],
)
def test_config_files(text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    line = refusal(["--config", str(path)], capsys)
    assert words.format(path=path) in line
    assert line.count("\n") == 1


def test_what_is_not_known_is_told_as_it_is() -> None:
    assert plainly("something new", [], "see --help") == "something new: see --help"
