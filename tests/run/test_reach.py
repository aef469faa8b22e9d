from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.run.reach import blind_nodes, look, probe, require_shared, witness
from tests.faults.nodes import BIN, TwoNodes
from tests.sources import ROOT

DRIVER = """
import json, subprocess, sys, time
import ray
from pipelines.errors import SpecError
from pipelines.run.reach import Newcomers, require_shared

folder, private = sys.argv[1], sys.argv[2] == "private"
ray.init(log_to_driver=False, logging_level="ERROR")

def alive():
    return [node for node in ray.nodes() if node["Alive"]]

def verdict(ask, **arguments):
    try:
        ask(**arguments)
    except SpecError as error:
        return str(error)
    return "shared"

named = {"output": folder + "/out", "inputs": [folder + "/corpus"]}
newcomers, often = (Newcomers([folder + "/corpus"], interval_seconds=seconds) for seconds in (3600, 0))
said = {"nodes": len(alive()), "two": verdict(require_shared, **named)}
said["before"] = [verdict(newcomers.ask), verdict(often.ask)]
if private:
    address = ray.get_runtime_context().gcs_address
    hide = f"mount -t tmpfs none {folder} && exec {sys.argv[3]} start --address={address} --num-cpus=1 --block"
    flags = "--object-store-memory=80000000 --min-worker-port=0 --max-worker-port=0 --node-name=private"
    node = subprocess.Popen(["unshare", "-rm", "sh", "-c", f"{hide} {flags}"], stdout=subprocess.DEVNULL)
    try:
        while len(alive()) < 3 and node.poll() is None:
            time.sleep(0.2)
        said["blind"] = next(n["NodeID"][:8] for n in alive() if n["NodeName"] == "private")
        said["three"] = verdict(require_shared, **named)
        said["after"] = [verdict(newcomers.ask), verdict(newcomers.ask, now=True), verdict(often.ask)]
    finally:
        node.terminate()
        node.wait(30)
        while len(alive()) > 2:
            time.sleep(0.2)
print(json.dumps(said))
"""


def can_hide_mounts() -> bool:
    """Whether this machine lets us give a process a view of the file system of its own."""
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_on_several_nodes_a_path_is_good_only_if_all_see_it(two_nodes: TwoNodes, tmp_path: Path) -> None:
    """Two nodes that share the disk agree; a third with another file system mounted over the folder does not."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.parquet").write_bytes(b"PAR1")
    private = can_hide_mounts()
    command = [sys.executable, "-c", DRIVER, str(tmp_path), "private" if private else "", str(BIN / "ray")]
    run = subprocess.run(
        command, cwd=ROOT, env=two_nodes.environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    assert (said["nodes"], said["two"]) == (2, "shared")
    assert said["before"] == ["shared", "shared"]
    assert not (tmp_path / "out").exists()
    if private:
        assert said["after"] == ["shared", said["three"], said["three"]]  # but for one that asks every hour
        assert str(tmp_path) in said["three"]
        assert said["blind"] in said["three"]
        assert "s3://" in said["three"]


def test_one_node_needs_no_probe(ray_session: None, tmp_path: Path) -> None:
    require_shared(output=str(tmp_path / "out"), inputs=[str(tmp_path / "nothing")])
    assert list(tmp_path.iterdir()) == []


def test_without_ray_nobody_comes(tmp_path: Path) -> None:
    script = f"from pipelines.run.reach import Newcomers; import ray; Newcomers(['{tmp_path}/nothing']).ask(now=True)"
    command = [sys.executable, "-c", script + "; assert not ray.is_initialized()"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_nodes_that_see_otherwise_or_nothing_are_named() -> None:
    wanted = {"/a": "4 17 x", "/b": "9 18 y"}
    answers = {"n2": {"/a": "4 17 x", "/b": "9 18 y"}, "n3": {"/a": "4 17 x", "/b": ""}, "n1": {"/b": "9 19 y"}}
    assert blind_nodes(wanted, answers) == {"/a": ["n1"], "/b": ["n1", "n3"]}
    assert blind_nodes(wanted, {"n2": dict(wanted)}) == {}


def test_a_file_is_known_from_its_namesake(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one", tmp_path / "same", tmp_path / "other"
    for file, text in ((one, "abc"), (same, "abc"), (other, "abd")):
        file.write_text(text)
        os.utime(file, ns=(0, 1))
    marks = look([str(one), str(same), str(other), str(tmp_path / "none")])
    assert marks[str(one)] == marks[str(same)] != marks[str(other)]
    assert marks[str(tmp_path / "none")] == ""
    os.utime(same, ns=(0, 2))
    assert look([str(same)])[str(same)] != marks[str(one)]


def test_a_witness_stands_for_a_file_a_folder_or_a_glob(tmp_path: Path) -> None:
    deep = tmp_path / "year=2020" / "b.parquet"
    deep.parent.mkdir()
    deep.write_bytes(b"")
    assert witness(str(deep)) == witness(str(tmp_path)) == witness(str(tmp_path / "**" / "*.parquet")) == str(deep)
    with pytest.raises(SpecError, match="no file"):
        witness(str(tmp_path / "none"))


def test_a_probe_leaves_nothing_and_takes_nothing_away(tmp_path: Path) -> None:
    with probe(str(tmp_path / "new" / "out")) as files:
        assert len(Path(files[0]).read_text()) == 64
    assert list(tmp_path.iterdir()) == []
    kept = tmp_path / "old" / "_manta" / "tmp"
    kept.mkdir(parents=True)
    with probe(str(tmp_path / "old")) as files:
        assert Path(files[0]).parent == kept
    assert list(kept.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot be written"), probe(str(tmp_path / "file" / "out")):
        pass
