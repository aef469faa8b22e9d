"""Clients of a head's job server in this process, jobs that wait for a file, and a wire that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ray.job_submission import JobSubmissionClient

from pipelines.run.launch.job_server import _without_addresses

if TYPE_CHECKING:
    from tests.faults.nodes import Head


def client_of(head: Head, address: str = "") -> JobSubmissionClient:
    """A client with the head's token, which this process itself has not."""
    token = (Path(head.environment["HOME"]) / ".ray/auth_token").read_text()
    with _without_addresses():
        return JobSubmissionClient(address or head.dashboard, headers={"Authorization": f"Bearer {token}"})


def waiting_for(path: Path, *, then: str = "exit 0") -> str:
    """A line that says one, waits until there is such a file, says two, and goes on so."""
    return f"echo one; until [ -e {path} ]; do sleep .05; done; echo two; {then}"


@dataclass
class Wire:
    """A port that leads to another, until it is cut; then to it again."""

    port: int
    target: tuple[str, int]
    listener: socket.socket
    ends: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its near end, as a URL."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection that there is."""
        while self.ends:
            with suppress(OSError):
                self.ends.pop().shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Lead on whoever comes."""
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
                self.ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_lead, args=(source, sink), daemon=True).start()


def _lead(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the server of this URL."""
    parts = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(listener.getsockname()[1], (parts.hostname or "", parts.port or 80), listener)
    threading.Thread(target=wire.serve, daemon=True).start()
    try:
        yield wire
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        wire.cut()
