"""What a launch asks for, in whichever way; that it runs on a cluster is seen in tests/faults/test_launch.py."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs import entry, launch
from jobs.embed import embed
from pipelines.errors import SpecError
from pipelines.run.launch.submission import flags_of
from tests.tiny import write_shard

CONFIG: dict[str, Any] = {
    "documents": ["s3://corpus/a/", "s3://corpus/b c.parquet"],
    "output": "s3://vectors/{fingerprint}/it's here",
    "spec": {"model": "a/model", "separator": "\n\t", "passthrough": ["year"], "max_seqlen": 64, "normalize": True},
    "gpu": {"num_gpus": 0.25, "compile": True},
    "max_dead_letters": 1e-05,
    "retry_dead_letters": True,
}


def test_a_file_a_dict_and_flags_ask_for_the_same(tmp_path: Path) -> None:
    """What the shell of the head makes of the line, the job's own parser takes for what was asked."""
    path = tmp_path / "embed.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    (by_file, _), (by_flags, _) = launch.read("embed", ["--config", str(path)]), launch.read("embed", flags_of(CONFIG))
    assert set(by_file.flags) == set(by_flags.flags)
    assert next(by_file.ids()) == next(by_flags.ids())
    words = shlex.split(by_file.entrypoint)
    assert words[:4] == ["exec", "python", "-m", "jobs.embed"]
    assert entry.parse(embed, words[4:]) == entry.parse(embed, ["--config", str(path)])


def test_the_id_is_of_job_output_and_spec() -> None:
    def name(**changes: Any) -> str:
        return next(launch.read("embed", flags_of(CONFIG | {"output": "s3://v/x"} | changes))[0].ids())

    assert name().startswith("embed-s3-v-x-")
    assert name() == name(limit=5)
    assert len({name(), name(spec={"model": "other"}), name(output="s3://v/y")}) == 3


@pytest.mark.parametrize("job", launch.ORDERS)
def test_each_job_can_be_launched_but_not_without_its_data(job: str) -> None:
    assert f"python -m jobs.launch {job} " in launch.parser_for(job).format_help()
    given = {
        "convert": [], "evaluate": ["--model", "m"], "finetune": ["--spec.model", "m", "--spec.task", "classification"],
        "embed": ["--spec.model", "m"], "predict": ["--spec.model", "m"], "prepare": ["--spec.tokenizer", "m"],
        "pretrain": ["--spec.architecture", "bert-tiny", "--spec.max_steps", "1"],
    }  # fmt: skip
    with pytest.raises(SpecError, match=r"no (corpus|instances|data|output) (is|are) named"):
        launch.read(job, given[job])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no job is named: write python"),
        (["emebd"], "there is no job 'emebd' to launch: write python -m jobs.launch JOB"),
        (["embed", "--documents", "s3://c/"], "--spec.model is missing"),
        (["embed", *flags_of(CONFIG), "--spec.dim", "0"], "EmbedSpec.dim is 0"),
        (["embed", *flags_of(CONFIG), "--gpu.max_actors", "0"], "EncodePool.max_actors is 0"),
        (["embed", *flags_of(CONFIG), "--max_dead_letters", "2"], "max_dead_letters is 2"),
        (["embed", *flags_of(CONFIG), "--ray.num_cpus", "2"], "leave it out"),
        (["embed", *flags_of(CONFIG), "--adress", "x"], "did you mean --address?"),
    ],
)
def test_what_is_wrong_is_refused_here(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody answers at the address: nothing was asked there."""
    monkeypatch.setattr("sys.argv", ["launch", *words, *(["--address", "http://127.0.0.1:1"] if words[1:] else [])])
    assert entry.run(launch.command, []) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_from_a_notebook_progress_is_json_unless_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "told_here", lambda: {"progress": "json"})
    assert "--progress=json" in launch.read("embed", flags_of(CONFIG))[0].flags
    asked = launch.read("embed", flags_of(CONFIG | {"progress": "log"}))[0].flags
    assert [flag for flag in asked if flag.startswith("--progress")] == ["--progress=log"]


def test_a_dry_run_shows_it_all_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MANTA_TEST_PLACE", "a-place-that-is-not-told")
    words = ["--environment", "[MANTA_TEST_PLACE]", "--secrets", "[HF_TOKEN]", "--dry_run"]
    monkeypatch.setattr("sys.argv", ["launch", "embed", *flags_of(CONFIG), *words, "--address", "http://127.0.0.1:1"])
    assert entry.run(launch.command, []) == 0
    shown = capsys.readouterr().out
    assert "exec python -m jobs.embed " in shown
    assert "--gpu.num_gpus=0.25" in shown
    assert "MANTA_TEST_PLACE, its value from here" in shown
    assert "HF_TOKEN, which must be set there" in shown
    assert "a-place-that-is-not-told" not in shown
    assert "pipelines (" in shown
    assert json.dumps(["year"]) in shown
    assert "no plan from here: " in shown


def test_a_dry_run_shows_the_plan_where_the_corpus_is_in_reach(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 10)
    settings = {
        "documents": str(tmp_path / "corpus"), "output": str(tmp_path / "vectors"), "spec": {"model": str(tiny_model)},
        "rates": {"tokens_per_second": 9, "gpu": 360}, "gpu": {"max_actors": 1, "num_gpus": 1},
    }  # fmt: skip
    monkeypatch.setattr("sys.argv", ["launch", "embed", *flags_of(settings), "--dry_run"])
    assert entry.run(launch.command, []) == 0
    shown = capsys.readouterr().out
    assert "--rates.gpu=360" in shown
    assert "embed plan: 10 documents in 1 of 1 shard to do, 1 slice" in shown
    assert re.search(r"^ +1 +1 +0:10 +1\.00 +0\.00 +1\.00 *$", shown, re.MULTILINE)
    assert not (tmp_path / "vectors").exists()
