"""Processes that have no network but loopback, and a list of all that tried to reach beyond it.

The kernel cuts it off (a network namespace, where it lets one make one), so that native code can't reach out either. In
each Python process below an audit hook refuses what would leave the machine, and writes it down: also what somebody
tried, did not get, and passed over. Where there are no namespaces, the hook is all there is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.sources import ROOT

PATIENCE_SECONDS = 280
OF_THE_CLOUD = ("169.254.169.254", "metadata.google.internal")
"""Where a cloud tells its own machines about themselves. A head of Ray asks as it starts, and can't be told not to."""

NAMESPACES = (("unshare", "--net"), ("unshare", "--net", "--user", "--map-root-user"))
"""Ways into a network of one's own: as root, and as anybody."""
BRING_UP = """
import fcntl, os, socket, struct, sys

up, of_its_own = 0x8914, (1 | 64)  # SIOCSIFFLAGS; IFF_UP, IFF_RUNNING
with socket.socket() as sock:
    fcntl.ioctl(sock, up, struct.pack("16sh", b"lo", of_its_own))
os.execvp(sys.argv[1], sys.argv[1:])
"""
GUARD = '''
"""Python runs this at its start, before all else: see tests/offline.py."""
import errno, ipaddress, json, os, socket, sys

OWN = set(json.loads(os.environ["MANTA_TEST_OWN"]))


def is_here(host):
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if not host or host in OWN:
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_name(host):
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return True
    return False


def reaches_out(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = args[:2]
        if not isinstance(address, tuple):
            return None  # a socket of the file system, or one that is connected
        if event == "socket.connect" and sock.type == socket.SOCK_DGRAM:
            return None  # sends nothing: how a process asks for its own address
        return None if is_here(address[0]) else str(address[0])
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0].decode(errors="replace") if isinstance(args[0], bytes) else args[0]
        return host if host and not is_here(host) and is_name(host) else None
    return None


def hook(event, args):
    if event.startswith("socket.") and (host := reaches_out(event, args)) is not None:
        with open(os.environ["MANTA_TEST_TRIED"], "a") as log:
            log.write(json.dumps([event, host, " ".join(sys.orig_argv[:4])]) + "\\n")
        raise OSError(errno.ENETUNREACH, "the network is cut off in this test")


sys.addaudithook(hook)
'''


@dataclass(frozen=True, kw_only=True)
class Offline:
    """What processes below are to be given, and the folder where they write what they tried."""

    folder: Path
    prefix: tuple[str, ...]
    """Words before a command that cut off its network; () where the kernel lets nobody."""

    @classmethod
    def within(cls, folder: Path) -> Offline:
        """The same, with its files in this folder."""
        (folder / "guard").mkdir(parents=True)
        (folder / "guard/sitecustomize.py").write_text(GUARD)
        (folder / "tried").touch()
        found = next((way for way in NAMESPACES if _works(way)), ())
        return cls(folder=folder, prefix=(*found, sys.executable, "-c", BRING_UP) if found else ())

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A command in a checkout of which nothing gets out, at its end."""
        own = [address.address for found in psutil.net_if_addrs().values() for address in found]
        told = {
            "PYTHONPATH": str(self.folder / "guard"),
            "MANTA_TEST_TRIED": str(self.folder / "tried"),
            "MANTA_TEST_OWN": json.dumps(["localhost", os.uname().nodename, *own]),
        }
        return subprocess.run(
            [*self.prefix, *command], cwd=ROOT, env={**environment, **told}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    def tried(self) -> list[list[str]]:
        """What was tried: event, host, and the command that did; but for Ray's question which cloud it is in."""
        tried = [json.loads(line) for line in (self.folder / "tried").read_text().splitlines()]
        return [one for one in tried if not (one[1] in OF_THE_CLOUD and "ray/dashboard/dashboard.py" in one[2])]


def _works(way: Sequence[str]) -> bool:
    if shutil.which(way[0]) is None:
        return False
    command = [*way, sys.executable, "-c", BRING_UP, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
