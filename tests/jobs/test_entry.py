"""The door of the jobs: flags, one-line refusals, exit codes, signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from jobs import entry
from pipelines.errors import GateError, LeaseError
from pipelines.spec import EmbedSpec, EncodePool, Storage
from tests.faults.nodes import environment_in, free_ports
from tests.sources import ROOT

NO_POOL = EncodePool()


def job(spec: EmbedSpec, documents: str | list[str] = "", gpu: EncodePool = NO_POOL, again: bool = False) -> int:
    """A job for the tests.

    Args:
        spec: What decides the result.
        documents: The corpus.
        gpu: What decides the speed.
        again: Once more.
    """
    if documents == "lease":
        raise LeaseError("another run holds it")
    if documents == "chain":
        try:
            raise GateError("cosine .5: use float32")
        except GateError as error:
            raise RuntimeError("an actor died") from error
    if documents == "interrupt":
        raise KeyboardInterrupt
    return 3 if again else 0


def test_flags_make_dataclasses():
    arguments = entry.parse(job, ["--spec.model", "m", "--documents", "[a, b]", "--gpu.max_actors", "8", "--again"])
    assert arguments["spec"] == EmbedSpec(model="m")
    assert arguments["documents"] == ["a", "b"]
    assert arguments["gpu"] == EncodePool(max_actors=8)
    assert arguments["again"] is True


def test_a_config_file_is_overridden_by_flags(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"documents": "here", "spec": {"model": "m", "dim": 7}, "again": True}))
    arguments = entry.parse(job, ["--config", str(path), "--spec.dim", "9"])
    assert (arguments["documents"], arguments["spec"].dim, arguments["again"]) == ("here", 9, True)


def test_workers_are_told_the_server_that_the_environment_names(monkeypatch):
    def reading(storage: Storage = Storage()) -> int:
        """Read.

        Args:
            storage: How s3:// is reached.
        """
        return 0

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = entry.parse(reading, ["--storage.region", "r"])
    assert found == {"storage": Storage(endpoint="http://127.0.0.1:9", region="r")}


def test_print_config_can_be_read_again(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        entry.parse(job, ["--spec.model", "m", "--print_config"])
    assert ended.value.code in (0, None)
    path = tmp_path / "c.yaml"
    path.write_text(capsys.readouterr().out)
    assert entry.parse(job, ["--config", str(path)])["spec"] == EmbedSpec(model="m")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "spec.model"),
        (["--spec.model", "m", "--nonsense", "1"], "--nonsense"),
        (["--spec.model", "m", "--gpu.max_actors", "many"], "gpu.max_actors"),
        (["--spec.model", "m", "--spec.max_seqlen", "1"], "EmbedSpec.max_seqlen is 1"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_flags_are_one_line_and_exit_2(argv, words, capsys):
    assert entry.run(job, argv) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("documents", "code", "words"),
    [("lease", 4, "LeaseError: another run"), ("chain", 1, "GateError: cosine"), ("interrupt", 130, "interrupted")],
)
def test_exit_codes(documents, code, words, capsys):
    assert entry.run(job, ["--spec.model", "m", "--documents", documents]) == code
    assert words in capsys.readouterr().err


def test_the_job_says_its_own_exit_code():
    assert entry.run(job, ["--spec.model", "m", "--again"]) == 3


def test_an_error_that_is_not_ours_is_not_hidden():
    def broken(spec: EmbedSpec) -> int:
        raise ZeroDivisionError(spec.model)

    with pytest.raises(ZeroDivisionError):
        entry.run(broken, ["--spec.model", "m"])


def test_sigterm_ends_with_143():
    code = (
        "import time\nfrom jobs.entry import main\n"
        "def job() -> int:\n  '''Sleep.'''\n  print('ready', flush=True)\n  time.sleep(60)\n  return 0\nmain(job, [])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "terminated" in error


def test_a_ray_that_was_there_before_stays(ray_session):
    import ray

    assert entry.run(job, ["--spec.model", "m"]) == 0
    assert ray.is_initialized()


JOINING = """
import json, os, sys
from jobs.entry import RayCluster, start_ray
from pipelines.errors import SpecError

for settings in json.loads(sys.argv[1]):
    try:
        start_ray(RayCluster(**settings))
    except SpecError as error:
        print(json.dumps(str(error)))
"""


def test_a_ray_that_is_not_there_is_refused_in_one_line(tmp_path):
    """The last is one that somebody started here and nobody stopped."""
    port = free_ports(1)[0]
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text(f"127.0.0.1:{port}")
    asked = [
        ({"address": f"127.0.0.1:{port}"}, f"no Ray answers at 127.0.0.1:{port}"),
        ({"address": f"ray://127.0.0.1:{port}"}, f"the Ray at ray://127.0.0.1:{port} can't be driven from outside"),
        ({"address": "nonsense"}, "the Ray at nonsense can't be joined (Invalid address format: nonsense): check"),
        ({"address": f"http://127.0.0.1:{port}"}, f"the Ray at http://127.0.0.1:{port} can't be joined (Invalid"),
        ({"num_cpus": -3}, "RayCluster.num_cpus is -3: write a number of at least 1"),
        ({"address": "auto", "num_cpus": 2}, "RayCluster.num_cpus is 2: the Ray at auto has its CPUs already"),
        ({}, f"no Ray answers at 127.0.0.1:{port}"),
    ]
    command = [sys.executable, "-c", JOINING, json.dumps([settings for settings, _ in asked])]
    done = subprocess.run(command, cwd=ROOT, env=environment_in(tmp_path), capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(asked)
    assert [line for line, (_, words) in zip(told, asked, strict=True) if not line.startswith(words)] == []
    assert [line for line in told if "\n" in line] == []
