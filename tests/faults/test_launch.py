"""`jobs.launch` to a head that asks for a token: exit codes come through, Ctrl-C leaves the job alone or stops it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.run.metrics import BUSY_RATIO, PADDING_RATIO, PROGRESS, SLICES
from tests.endpoint import expected, names, runs_told, text_of, values, wait_for
from tests.faults.nodes import Head
from tests.faults.runs import PATIENCE_SECONDS, Corpus, flags_for, num_parts, until
from tests.job_servers import client_of
from tests.sources import ROOT
from tests.tiny import write_shard

NUM_ROWS = 40
LAUNCH = """
import json, sys
from jobs.launch import launch

told = []
for _ in range(2):
    config, where = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    run = launch("embed", config, **where)
    told.append([run.id, run.wait(), run.status, run.report()])
print(json.dumps(told))
"""


@pytest.mark.timeout(300)
def test_a_launched_job_is_followed_to_its_exit_code_and_its_report(
    tiny_model: Path, head: Head, tmp_path: Path
) -> None:
    """A row without text: 3, and a report. Again: an id of its own, nothing to do, 0. No secret was submitted.

    The endpoint of the node tells what the report tells, and that a run ended with 3, though both were over in no time.
    """
    runs_before = runs_told(text_of(head)).get(("embed", "3"), 0)
    texts = [None, *("a state of the union" for _ in range(NUM_ROWS - 1))]
    write_shard(tmp_path / "corpus/a.parquet", NUM_ROWS, text=texts)
    config = {
        "documents": str(tmp_path / "corpus"),
        "output": str(tmp_path / "vectors"),
        "spec": {"model": str(tiny_model)},
        "gpu": {"num_threads": 1},
        "max_dead_letters": 0,
    }
    where = {"address": head.dashboard, "environment": ["LANG"], "secrets": ["AWS_SECRET_ACCESS_KEY"]}
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, json.dumps(config), json.dumps(where)], cwd=ROOT,
        env=head.environment | {"LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, again = json.loads(done.stdout.splitlines()[-1])
    assert first[1:3] == [3, "FAILED"]
    assert (first[3]["rows"], first[3]["num_dead_letters"]) == (NUM_ROWS - 1, 1)
    assert again == [f"{first[0]}-r2", 0, "SUCCEEDED", {}]
    assert f"embed {first[3]['run']}: 40 documents, 39 rows, 1 dead letter in" in done.stdout
    assert f"{head.dashboard}/#/jobs/{first[0]}" in done.stderr
    submitted = client_of(head).get_job_info(first[0])
    assert submitted.runtime_env is not None
    assert submitted.runtime_env["env_vars"] == {"LANG": "C.UTF-8"}
    for secret in (head.environment["AWS_SECRET_ACCESS_KEY"], token(head)):
        assert secret not in submitted.model_dump_json() + done.stdout + done.stderr
    told = text_of(head)
    counters = {name: value for name, value in values(told, run=first[3]["run"]).items() if name.endswith("_total")}
    assert counters == pytest.approx(expected(first[3]))
    assert runs_told(told)["embed", "3"] == runs_before + 1


def token(head: Head) -> str:
    """What the head lets in by."""
    return (Path(head.environment["HOME"]) / ".ray/auth_token").read_text()


def start(head: Head, *words: str) -> subprocess.Popen[str]:
    """`jobs.launch embed --wait`, as one types it in a checkout, followed up to the first line of the job's log."""

    def before_it_runs() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored

    command = [sys.executable, "-m", "jobs.launch", "embed", "--address", head.dashboard, "--wait", *words]
    run = subprocess.Popen(
        command, cwd=ROOT, env=head.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, preexec_fn=before_it_runs,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stdout.readline(), ended(run)
    return run


def ended(run: subprocess.Popen[str]) -> tuple[str, str]:
    """What else it printed, and told, up to its end.

    By the streams themselves: ``communicate`` passes over what came along with a line that was read before.
    """
    assert run.stdout is not None
    assert run.stderr is not None
    rest = run.stdout.read(), run.stderr.read()
    run.wait(PATIENCE_SECONDS)
    return rest


def read_until(run: subprocess.Popen[str], word: str) -> str:
    """The line on stderr that has this word, or all there was before the end."""
    assert run.stderr is not None
    lines = iter(run.stderr.readline, "")
    return next((line for line in lines if word in line), "")


@pytest.mark.timeout(600)
def test_ctrl_c_leaves_the_job_and_a_second_one_stops_it(
    tiny_model: Path, corpus: Corpus, endless: Path, head: Head, tmp_path: Path
) -> None:
    """While the first job goes on, the same one again is told 4, by its lease."""
    documents, output = Path(shutil.copytree(corpus.folder, tmp_path / "corpus")), tmp_path / "vectors"
    shutil.copy2(endless, documents)
    words = (*flags_for(tiny_model), "--documents", str(documents), "--output", str(output))
    left = start(head, *words)
    name = read_until(left, "launched ").split()[1]
    until(lambda: num_parts(output) > 0, left)
    left.send_signal(signal.SIGINT)
    _, told = ended(left)
    assert (left.returncode, f"left {name}: it goes on" in told) == (130, True), told
    client, parts = client_of(head), num_parts(output)
    refused = start(head, *words)
    log, told = ended(refused)
    assert (refused.returncode, "LeaseError: " in log, f"{name}-r2" in told) == (4, True, True), log + told
    assert client.get_job_info(name).status.value == "RUNNING"
    assert num_parts(output) > parts
    run = json.loads((output / "_manta/lease.json").read_text())["run"]
    gauges = names(PROGRESS, BUSY_RATIO, PADDING_RATIO)
    told = wait_for(head, lambda told: gauges <= told.keys() and told[SLICES.name] > parts, run=run)
    assert told[SLICES.name] <= num_parts(output)
    assert 0 <= told[PADDING_RATIO.name] < 1
    assert 0 < told[BUSY_RATIO.name] <= 1
    client.stop_job(name)
    stopped = start(head, *words)
    stopped.send_signal(signal.SIGINT)
    assert "Ctrl-C again" in read_until(stopped, "left ")
    stopped.send_signal(signal.SIGINT)
    log, _ = ended(stopped)
    assert (stopped.returncode, f"{name}-r3 STOPPED" in log) == (143, True), log
    assert client.get_job_info(f"{name}-r3").status.value == "STOPPED"


@pytest.mark.timeout(120)
def test_a_wrong_token_is_told_before_anything_is_submitted(head: Head, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("0" * 64)
    before = len(client_of(head).list_jobs())
    words = ["--spec.model", "a/model", "--documents", "s3://corpus/", "--output", "s3://vectors/"]
    refused = subprocess.run(
        [sys.executable, "-m", "jobs.launch", "embed", "--address", head.dashboard, *words], cwd=ROOT,
        env=head.environment | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")}, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused.stderr
    assert refused.stderr.startswith(
        f"SpecError: the cluster at {head.dashboard} lets nobody in without its token (Auth"
    )
    assert len(client_of(head).list_jobs()) == before
