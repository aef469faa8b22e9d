"""Hub models, from a small server that answers as the hub does. Each look runs in a process of its own: the hub's
library reads its settings when it is imported."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

NAME, COMMIT = "house/mini", "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"[]",
    "modules.json": b'[{"path": "", "type": "a.T"}, {"path": "1_Pooling", "type": "a.P"}]',
    "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
    "README.md": b"read me",
    "onnx/model.onnx": b"graph",
    "modeling.py": b"raise SystemExit",
}
LOADED = sorted(FILES.keys() - {"README.md", "onnx/model.onnx", "modeling.py"})
LOOK = """
import json, sys
from pipelines.errors import MantaError
from pipelines.store.models import fetch, identify
try:
    model = identify(sys.argv[1])
    folder = fetch(model)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    print(json.dumps({"resolved": model.resolved, "kind": model.kind, "hash": model.hash, "files": files}))
except MantaError as error:
    print(json.dumps({"refusal": f"{type(error).__name__}: {error}"}))
"""


class Hub(BaseHTTPRequestHandler):
    """The three answers that downloading a model takes: its commit, its tree, a file."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in (f"/api/models/{NAME}", *(f"/api/models/{NAME}/revision/{word}" for word in ("main", "v1", COMMIT))):
            self._answer({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            tree = [{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in FILES.items()]
            self._answer(tree)
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            self._file(FILES[path.removeprefix(f"/{NAME}/resolve/{COMMIT}/")])
        else:
            self._refuse("RevisionNotFound" if NAME in path else "RepoNotFound")

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, value: object) -> None:
        self._file(json.dumps(value).encode())

    def _file(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def look(reference: str, home: Path, endpoint: str, offline: str = "0") -> dict[str, str]:
    settings = {
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": offline,
        "MANTA_CACHE": str(home / "m"),
    }
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        settings |= {name: "", name.lower(): ""}
    command = [sys.executable, "-c", LOOK, reference]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_a_hub_model_is_resolved_to_its_commit_and_only_what_is_loaded_is_fetched(hub: str, tmp_path: Path) -> None:
    found = look(NAME, tmp_path, hub)
    lines = [f"{name}\0{hashlib.sha256(FILES[name]).hexdigest()}\n" for name in LOADED]
    assert found == {
        "resolved": f"{NAME}@{COMMIT}",
        "kind": "hub",
        "hash": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "files": LOADED,
    }
    assert look(f"{NAME}@v1", tmp_path, hub) == found
    assert look(f"{NAME}@{COMMIT}", tmp_path, hub) == found


@pytest.mark.parametrize("offline", ["0", "1"], ids=["unreachable", "offline"])
def test_what_is_here_is_enough_where_the_hub_is_not(hub: str, tmp_path: Path, offline: str) -> None:
    found = look(NAME, tmp_path, hub)
    nowhere = "http://127.0.0.1:9"
    assert look(NAME, tmp_path, nowhere, offline) == found
    assert look(f"{NAME}@{COMMIT}", tmp_path, nowhere, offline) == found


def test_what_is_here_in_part_is_not_taken_for_another_model(hub: str, tmp_path: Path) -> None:
    look(NAME, tmp_path, hub)
    (part,) = tmp_path.glob(f"hub/models--house--mini/snapshots/{COMMIT}/tokenizer.json")
    part.unlink()
    assert "the hub's cache here does not have it" in look(NAME, tmp_path, hub, offline="1")["refusal"]
    assert look(NAME, tmp_path, hub)["files"] == LOADED


@pytest.mark.parametrize(
    ("reference", "offline", "says"),
    [
        ("house/none", "0", "and the Hugging Face hub shows no such model"),
        (f"{NAME}@v9", "0", "and the Hugging Face hub knows no such revision of it"),
        (NAME, "1", "HF_HUB_OFFLINE is set, and the hub's cache here does not have it"),
    ],
)
def test_what_the_hub_does_not_have_is_refused(
    hub: str, tmp_path: Path, reference: str, offline: str, says: str
) -> None:
    refusal = look(reference, tmp_path, hub, offline)["refusal"]
    assert refusal.startswith(f"SpecError: model {reference!r} is no folder here, {says}")
    assert refusal.endswith(": name a model folder, a URI, a hub id or package:NAME/FOLDER")


def test_a_hub_that_is_not_reachable_is_told(tmp_path: Path) -> None:
    refusal = look(NAME, tmp_path, "http://127.0.0.1:9")["refusal"]
    assert refusal.startswith(
        f"SpecError: model '{NAME}' is no folder here, and the Hugging Face hub is not reachable ("
    )
