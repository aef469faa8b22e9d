"""The way to a job server: what is wrong with it is said in one line, before anything is submitted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray

from pipelines.errors import SpecError
from pipelines.run.launch.job_server import ADDRESSES, connect, find_address, submit
from pipelines.run.launch.parcel import pack
from pipelines.run.launch.submission import Launching, Submission
from tests.faults.nodes import Head, free_ports
from tests.job_servers import client_of


@pytest.fixture(autouse=True)
def _nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that says the same to whatever it is asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "https://second/")
    assert find_address() == "https://second"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://first:8265")
    assert find_address() == "http://first:8265"
    assert find_address("http://mine:8265/") == "http://mine:8265"


@pytest.mark.parametrize(("address", "told"), [("", "no cluster is named"), ("auto", "--address auto is no address"),
                                               ("ray://head:10001", "ray://head:10001 is no address")])  # fmt: skip
def test_an_address_is_that_of_a_dashboard(address: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        find_address(address)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    with pytest.raises(SpecError, match=f"nobody answers at http://127.0.0.1:{port} "):
        connect(f"http://127.0.0.1:{port}")
    with pytest.raises(SpecError, match=f"nobody answers at http://127.0.0.1:{port} "):
        connect(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, "", "is no dashboard of Ray"),
        (200, "<html>", "is no dashboard of Ray"),
        (500, "", "is no dashboard of Ray"),
        (401, "no token", r"without its token \(Auth.* token\): set .*RAY_AUTH_TOKEN_PATH"),
        (403, "bad token", r"without its token \(Auth.* token\): set .*RAY_AUTH_TOKEN_PATH"),
        (
            200,
            json.dumps({"version": "4", "ray_version": "2.55.1"}),
            f"runs Ray 2.55.1, and this is Ray {ray.__version__}",
        ),
    ],
)
def test_what_answers_is_told(status: int, body: str, told: str) -> None:
    with answering(status, body) as url, pytest.raises(SpecError, match=told) as refused:
        connect(url)
    assert "\n" not in str(refused.value)


@pytest.mark.timeout(120)
def test_a_head_that_refuses(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has not the head's token. An address in the environment changes nothing."""
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    with pytest.raises(SpecError, match="lets nobody in without its token"):
        connect(head.dashboard)


@pytest.mark.timeout(120)
def test_each_submission_has_an_id_of_its_own(head: Head, tmp_path: Path) -> None:
    """What runs there is this folder's jobs.embed, which says what it was given."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/embed.py").write_text("import sys\nprint(sys.argv[1:])\n")
    asked = Submission(
        job="embed", flags=("--text=it's",), output="s3://v/x", fingerprint=tmp_path.name.encode().hex(),
        where=Launching(), parcel=pack(tmp_path),
    )  # fmt: skip
    client = client_of(head)
    first, second = submit(client, asked), submit(client, asked)
    assert second == f"{first}-r2"
    assert first.startswith("embed-s3-v-x-")
