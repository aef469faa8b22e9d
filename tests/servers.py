"""Real servers for tests, on loopback and on ports that are free, each ended by its own process id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import s3fs

SERVICES = ("s3", "master", "volume", "filer", "admin")


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """A running S3 server that checks signatures. ``environment`` is what a client on this machine needs."""

    endpoint: str
    access_key: str
    secret_key: str
    environment: dict[str, str]

    def bucket(self) -> str:
        """A fresh, empty bucket: its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client().call_s3("create_bucket", Bucket=name)
        return name

    def client(self) -> s3fs.S3FileSystem:
        """An s3fs of its own, to look from outside at what is there."""
        return s3fs.S3FileSystem(
            endpoint_url=self.endpoint,
            key=self.access_key,
            secret=self.secret_key,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def keys(self, bucket: str) -> list[str]:
        """Every key in the bucket."""
        page = self.client().call_s3("list_objects_v2", Bucket=bucket)
        return [item["Key"] for item in page.get("Contents", [])]

    def unfinished(self, bucket: str) -> list[str]:
        """Keys of multipart uploads that were neither completed nor aborted."""
        return [upload["Key"] for upload in self.client().list_multipart_uploads(bucket)]


@contextmanager
def seaweed(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS with all its services in one process, its data in the folder."""
    access_key, secret_key = "test-key", uuid.uuid4().hex
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    command = [str(Path(sys.executable).parent / "weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false", "-master.telemetry=false"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    command += [f"-{name}.localSocket={folder}/{name}.sock" for name in ("s3", "filer")]
    for name, port in ports.items():
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={port + 10000}"]
    credentials = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    # Near what it holds (200 MB), the limit would keep Go's collector busy all the time: eight times the CPU seconds.
    limits = {"GOMEMLIMIT": "1GiB", "GOMAXPROCS": "2"}
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **credentials, **limits}, cwd=folder, stdout=log, stderr=log
        )
    try:
        _wait(process, endpoint, folder / "log")
        alone = {name: str(folder / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        environment = {**credentials, **alone, "AWS_ENDPOINT_URL_S3": endpoint, "AWS_REGION": "us-east-1"}
        yield S3Server(endpoint=endpoint, access_key=access_key, secret_key=secret_key, environment=environment)
    finally:
        process.kill()  # nothing is worth keeping, and a farewell to all its services takes seconds
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; each stands for itself and for the one 10000 above, where its gRPC goes."""
    ports: set[int] = set()
    held = []
    try:
        while len(ports) < count:
            held.append(socket.socket())
            held[-1].bind(("127.0.0.1", 0))
            port = held[-1].getsockname()[1]
            if port < 55536 and _is_free(port + 10000):
                ports.add(port)
    finally:
        for sock in held:
            sock.close()
    return sorted(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/healthz", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-2000:]}")


@dataclass
class Wire:
    """A connection to a server that can be made to fail. ``endpoint`` stands in for the server's own.

    ``lose_answers``: so many answers to a PUT are read from the server and never passed on. ``cut_after``: a request's
    connection is closed once so many bytes of it went through. ``passed`` counts the bytes sent to the server.
    """

    endpoint: str
    lose_answers: int = 0
    cut_after: int | None = None
    passed: int = 0
    puts: int = 0


@contextmanager
def wire(endpoint: str) -> Iterator[Wire]:
    """A wire to the server at this endpoint."""
    host, _, port = endpoint.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    line = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            state = {"put": False}
            threading.Thread(target=_requests, args=(line, client, server, state), daemon=True).start()
            threading.Thread(target=_answers, args=(line, client, server, state), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield line
    finally:
        listener.close()


def _requests(line: Wire, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
    sent = 0
    with suppress(OSError):
        while data := client.recv(65536):
            if data.startswith((b"PUT ", b"POST ")):
                line.puts, state["put"], sent = line.puts + data.startswith(b"PUT "), True, 0
            elif data.startswith((b"GET ", b"HEAD ", b"DELETE ")):
                state["put"] = False
            sent += len(data)
            if state["put"] and line.cut_after is not None and sent > line.cut_after:
                break
            server.sendall(data)
            line.passed += len(data)
    _close(client, server)


def _answers(line: Wire, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            if state["put"] and line.lose_answers and not data.startswith(b"HTTP/1.1 100"):
                line.lose_answers -= 1
                break
            client.sendall(data)
    _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for sock in sockets:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
