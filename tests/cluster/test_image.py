"""The image of the nodes, as far as it can be told without a build, and the script in it that passes data faults."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib

import pytest

from tests.cluster.files import CLUSTER, document, locked, path_of
from tests.sources import ROOT

PASS = str(CLUSTER / "pass-dead-letters.sh")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what follows them, continued lines joined."""
    text = re.sub(r"^#.*\n", "", path_of("Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def all_of(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def test_a_build_argument_chooses_between_cuda_and_cpu() -> None:
    first, *others = all_of("FROM")
    assert re.fullmatch(r"python:3\.\d+-slim-\w+ AS cpu", first)
    assert others == ["cpu AS cuda", "${BUILD} AS packages", "${BUILD}"]
    assert {"BUILD=cuda", 'ALSO=""'} <= set(all_of("ARG"))
    told = re.findall(r"--build-arg BUILD=(\w+) -t \S+-(\w+) \.$", path_of("Dockerfile").read_text(), re.MULTILINE)
    assert told == [("cuda", "cuda"), ("cpu", "cpu")]


def test_what_is_installed_is_the_lock_s() -> None:
    installs = [command for run in all_of("RUN") for command in run.split("&&") if "pip install" in command]
    assert len(installs) == 2
    for command in installs:
        assert "--constraint requirements.lock" in command
        after = command.split("requirements.lock")[1].replace("--requirement asked.txt", "").replace("$ALSO", "")
        assert all(locked(package) for package in after.split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[\[<>=!~; ]", name)[0] for name in project["dependencies"]]
    assert all(locked(name.lower()) for name in names)
    python = re.match(r"python:(3\.\d+)", all_of("FROM")[0])
    assert python is not None
    assert f"Programming Language :: Python :: {python[1]}" in project["classifiers"]


def test_what_is_asked_for_is_what_the_project_depends_on() -> None:
    """As the build itself asks: Python's own words, run by a shell."""
    (run,) = (run for run in all_of("RUN") if "tomllib" in run)
    asking = run.split(">")[0]
    asked = subprocess.run(
        ["bash", "-ec", f"python() {{ '{sys.executable}' \"$@\"; }}; {asking}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.splitlines() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_it_is_built_of_the_code_alone() -> None:
    copied = [rest.split()[:-1] for rest in all_of("COPY") if not rest.startswith("--from=")]
    sources = {source for words in copied for source in words}
    assert all((ROOT / source).exists() for source in sources)
    ignored, *allowed = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert ignored == "*"
    assert {line[1:] for line in allowed if line.startswith("!")} == sources


def test_it_runs_as_nobody_in_particular_with_a_place_to_spill() -> None:
    assert instructions()[-2:][0] == ("USER", "1000:1000")
    runs = " ".join(all_of("RUN"))
    assert "useradd --uid 1000" in runs
    assert "install -d -m 1777 /spill" in runs
    assert document("kuberay/raycluster.yaml")["spec"]["headGroupSpec"]["template"]["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    # What KubeRay's probes and Ray's launcher call in it.
    assert all(f" {tool}" in runs for tool in ("wget", "rsync", "openssh-client"))


@pytest.mark.parametrize(("code", "passed"), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 4), (143, 143)])
def test_data_faults_pass_and_nothing_else_does(code: int, passed: int) -> None:
    done = subprocess.run(
        [PASS, "sh", "-c", f"echo told; exit {code}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (passed, "told\n")
    assert ("exit code 3" in done.stderr) is (code == 3)


def test_a_killed_job_has_not_passed() -> None:
    done = subprocess.run([PASS, "sh", "-c", "kill -KILL $$"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGKILL


def test_words_reach_the_job_as_they_are() -> None:
    done = subprocess.run([PASS, "printf", "%s|", "a b", "", "*"], capture_output=True, text=True, check=True)
    assert done.stdout == "a b||*|"
