"""Objects on a real S3 server: conditions, lost answers, kills, and who is let in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.errors import SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.entry import Conflict
from pipelines.store.location import Location, locate
from tests.servers import S3Server, free_ports, wire

ROOT = Path(__file__).resolve().parents[2]
MB = 2**20


@pytest.fixture
def here(s3: S3Server) -> Location:
    """A bucket of its own."""
    return locate(f"s3://{s3.bucket()}")


def test_a_listing_goes_page_by_page(here: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.store.s3.MOST_KEYS", 2)
    for key in ("b/1", "b/2", "a", "b/3", "bb", "c/é 1"):
        here.put(key, key.encode())
    assert [entry.key for entry in here.list()] == ["a", "b/1", "b/2", "b/3", "bb", "c/é 1"]
    assert [entry.key for entry in here.list("b/")] == ["b/1", "b/2", "b/3"]
    assert [(entry.key, entry.size) for entry in here.join("b").list()] == [("1", 3), ("2", 3), ("3", 3)]
    here.remove(["a", "b/1", "b/2", "nothing", "bb"])
    assert [entry.key for entry in here.list()] == ["b/3", "c/é 1"]


def test_a_marker_of_a_folder_is_no_file(s3: S3Server, here: Location) -> None:
    s3.client().call_s3("put_object", Bucket=here.path, Key="folder/", Body=b"")
    here.put("folder/a", b"1")
    assert [entry.key for entry in here.list()] == ["folder/a"]


def test_a_put_that_was_retried_and_won_is_no_conflict(s3: S3Server, here: Location) -> None:
    with wire(s3.endpoint) as line:
        far = locate(here.uri, Storage(endpoint=line.endpoint))
        line.lose_answers = 1
        version = far.put_if("lease", b"ours", None)
        assert line.lose_answers == 0
        assert line.puts >= 2
        assert here.read_versioned("lease") == (b"ours", version)
        line.lose_answers = 1
        far.put_if("lease", b"ours again", version)
        assert here.read("lease") == b"ours again"


def test_a_put_that_was_retried_and_lost_is_a_conflict(s3: S3Server, here: Location) -> None:
    here.put("lease", b"theirs")
    with wire(s3.endpoint) as line:
        line.lose_answers = 1
        with pytest.raises(Conflict):
            locate(here.uri, Storage(endpoint=line.endpoint)).put_if("lease", b"ours", None)
    assert here.read("lease") == b"theirs"


@pytest.mark.parametrize("size", [8 * MB, 12 * MB], ids=["one put", "multipart"])
def test_a_wire_that_breaks_in_the_middle_of_a_put_leaves_no_part(
    s3: S3Server, here: Location, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("pipelines.store.s3.PART_BYTES", 5 * MB)
    with wire(s3.endpoint) as line:
        line.cut_after = 4 * MB
        with pytest.raises(StoreError, match="parts/a"):
            locate(here.uri, Storage(endpoint=line.endpoint)).put("parts/a", bytes(size))
        assert line.passed > 3 * MB
    assert s3.keys(here.path) == []
    assert s3.unfinished(here.path) == []


PUT = """
import sys
from pipelines.store import s3
from pipelines.store.location import locate
s3.PART_BYTES = int(sys.argv[3])
locate(sys.argv[1]).put("parts/a", bytes(int(sys.argv[2])))
"""


@pytest.mark.parametrize("part", [50 * MB, 5 * MB], ids=["one put", "multipart"])
def test_a_kill_in_the_middle_of_a_put_leaves_no_part(s3: S3Server, here: Location, part: int) -> None:
    size = 30 * MB
    with wire(s3.endpoint) as line:
        child = subprocess.Popen(
            [sys.executable, "-c", PUT, here.uri, str(size), str(part)],
            cwd=ROOT,
            env=os.environ | {"AWS_ENDPOINT_URL_S3": line.endpoint},
        )
        until = time.monotonic() + 60
        while line.passed < 4 * MB:
            assert time.monotonic() < until
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert line.passed < size
    assert s3.keys(here.path) == []
    assert s3.unfinished(here.path) == (["parts/a"] if part < size else [])
    here.sweep()
    assert len(s3.unfinished(here.path)) == (part < size)  # it is young: its process may be alive
    here.sweep(min_age_seconds=-60)
    assert s3.unfinished(here.path) == []


def test_a_large_put_is_one_object_with_the_version_that_a_listing_shows(
    s3: S3Server, here: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.store.s3.PART_BYTES", 5 * MB)
    entry = here.put("parts/a", bytes(12 * MB))
    assert list(here.list()) == [entry]
    assert entry.size == 12 * MB
    assert entry.version.endswith("-3")  # so S3 marks an upload of three parts
    assert s3.unfinished(here.path) == []


def test_a_large_file_goes_up_in_parts_and_its_copy_here_goes(
    s3: S3Server, here: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.store.s3.PART_BYTES", 5 * MB)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    entry = here.put_written("a", lambda path: path.write_bytes(bytes(12 * MB)) and None)
    assert list(here.list()) == [entry]
    assert entry.version.endswith("-3")
    assert list(tmp_path.iterdir()) == []
    with wire(s3.endpoint) as line:
        line.cut_after = 4 * MB
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        far = locate(here.uri, Storage(endpoint=line.endpoint))
        with pytest.raises(StoreError, match="b: "):
            far.put_written("b", lambda path: path.write_bytes(bytes(12 * MB)) and None)
    assert s3.keys(here.path) == ["a"]
    assert s3.unfinished(here.path) == []


def found_by_both_doors(location: Location) -> dict[str, str]:
    """What s3fs and pyarrow read at a location, and where they looked."""
    filesystem, path = location.arrow()
    meta = location.filesystem().s3.meta
    return {
        "s3fs": location.read().decode(),
        "pyarrow": filesystem.open_input_file(path).read().decode(),
        "endpoint": meta.endpoint_url,
        "s3fs region": meta.region_name,
        "pyarrow region": filesystem.region,
    }


def test_endpoint_region_and_profile_are_taken_as_boto3_takes_them(
    s3: S3Server, here: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.put("a b/é", b"found")
    uri = f"{here.uri}/a b/é"
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    (tmp_path / "config").write_text(f"[profile mine]\nregion = eu-west-3\nendpoint_url = {s3.endpoint}\n")
    (tmp_path / "credentials").write_text(
        f"[mine]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
    )
    files = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    asked = [
        (keys | {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_DEFAULT_REGION": "eu-west-1"}, Storage(), "eu-west-1"),
        (keys | nowhere | {"AWS_ENDPOINT_URL_S3": s3.endpoint, "AWS_REGION": "eu-west-2"}, Storage(), "eu-west-2"),
        (files | {"AWS_PROFILE": "mine"}, Storage(), "eu-west-3"),
        (files, Storage(profile="mine"), "eu-west-3"),
        (keys | nowhere, Storage(endpoint=s3.endpoint, region="eu-west-4"), "eu-west-4"),
    ]
    for environment, storage, region in asked:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert found_by_both_doors(locate(uri, storage)) == {
            "s3fs": "found",
            "pyarrow": "found",
            "endpoint": s3.endpoint,
            "s3fs region": region,
            "pyarrow region": region,
        }


def said(uri: str, storage: Storage = Storage()) -> str:
    with pytest.raises(SpecError) as refusal:
        locate(uri, storage).check()
    message = str(refusal.value)
    assert "\n" not in message
    return message


def test_who_is_not_let_in_is_told_so(s3: S3Server, here: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    here.check()
    assert "there is no such bucket" in said("s3://no-such-bucket-here/x")
    assert said(f"{here.uri}/x") == f"{here.uri}/x: there is nothing there: check the path (endpoint {s3.endpoint})"
    assert "there is no such profile" in said(here.uri, Storage(profile="nobody"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    assert "the secret key does not fit the access key" in said(here.uri)
    assert "wrong-secret" not in said(here.uri)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    assert "the server does not know the access key" in said(here.uri)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "no credentials were found" in said(here.uri)
    with pytest.raises(StoreError, match="no credentials were found"):
        here.arrow()


def test_an_output_needs_its_bucket_only(here: Location) -> None:
    here.join("new/folder").check_output()
    with pytest.raises(SpecError, match="there is no such bucket"):
        locate("s3://no-such-bucket-here/out").check_output()


def test_an_endpoint_that_nobody_answers(here: Location) -> None:
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert said(here.uri, Storage(endpoint=closed)).endswith(
        f"the server can't be reached: check the endpoint and the network (endpoint {closed})"
    )


def test_an_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'localhost:9000': write http://HOST:PORT" in said("s3://bucket", Storage(endpoint="localhost:9000"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://user:hunter2@localhost")
    assert "hunter2" not in said("s3://bucket")


def test_no_secret_shows_in_a_representation(s3: S3Server, here: Location) -> None:
    shown = f"{here!r} {here} {here.filesystem()!r} {here.arrow()!r} {vars(here)!r}"
    assert s3.secret_key not in shown
