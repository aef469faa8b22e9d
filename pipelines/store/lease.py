"""The lease: one run at a time writes to an output.

``_manta/lease.json`` says who holds the output. Every change of it is a conditional put, so of two that try, one wins.
The holder renews it every 10 s. Who finds the lease of another

- takes it over at once if it was released, or if its process ran on this host and is dead;
- stops at once if its process is alive on this host;
- otherwise watches it for 30 s by its own clock, so that no two clocks need agree: a lease that does not change in that
  time is dead and taken over, one that changes is alive.

A holder that was stopped or cut off for so long learns from its next put that it has lost the lease, and a run puts
once more right before it commits (``check``). After Gray and Cheriton, "Leases" (SOSP 1989), with conditional puts for
what their server does.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import TracebackType

from pipelines.errors import LeaseError, StoreError
from pipelines.store.location import Conflict, Location
from pipelines.store.owner import Owner, this_process

log = logging.getLogger(__name__)

KEY = "_manta/lease.json"
RENEW_SECONDS = 10.0
EXPIRE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What lease.json says."""

    owner: Owner
    run: str
    token: str
    """Of this claim alone, so that no two contents are equal."""
    since: str
    """When it was taken, ISO 8601 in UTC by the owner's clock; for people."""
    renewals: int = 0
    released: bool = False

    def to_json(self) -> bytes:
        """Content of lease.json."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Claim | None:
        """The claim that ``to_json`` wrote; None for anything else."""
        try:
            values = json.loads(data)
            return cls(**values | {"owner": Owner(**values["owner"])})
        except (ValueError, TypeError, KeyError):
            return None

    def __str__(self) -> str:
        return f"run {self.run} of {self.owner}, since {self.since}"


def hold(
    output: Location,
    run: str,
    say: Callable[[str], None],
    *,
    renew_seconds: float = RENEW_SECONDS,
    expire_seconds: float = EXPIRE_SECONDS,
    owner: Owner | None = None,
) -> Lease:
    """Take the output's lease and keep it renewed until ``Lease.release`` (or the end of its ``with`` block).

    ``say`` gets a line before another's lease is waited for. Raises LeaseError where another run holds the output.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    claim = Claim(owner=owner or this_process(), run=run, token=uuid.uuid4().hex, since=now)
    began, version = _take(output, claim, say, expire_seconds, poll_seconds=renew_seconds / 10)
    return Lease(output, claim, version, began, renew_seconds=renew_seconds, expire_seconds=expire_seconds)


def check_holder(output: Location, run: str) -> None:
    """LeaseError where another run has the output's lease: for those who work for a run, and don't hold it themselves.

    A lease that was released, or that can't be read, is nobody's.
    """
    _, claim = _read(output)
    if claim is not None and not claim.released and claim.run != run:
        raise LeaseError(f"run {run} no longer holds {output}: it was taken over by {claim}; nothing was committed")


def left_behind(output: Location) -> Claim | None:
    """The claim in lease.json that nobody gave back, unless its process is alive on this host.

    One of this host is dead; one of another may be: ``hold`` watches it, and takes it over or raises.
    """
    _, claim = _read(output)
    return claim if claim is not None and not claim.released and not claim.owner.is_alive_here() else None


class Lease:
    """A lease that is held, and renewed by a thread of its own. A context manager that releases it."""

    def __init__(
        self,
        output: Location,
        claim: Claim,
        version: str,
        renewed: float,
        *,
        renew_seconds: float,
        expire_seconds: float,
    ) -> None:
        self.output = output
        self._claim = claim
        self._version = version
        self._renewed = renewed  # monotonic, from before the last put that succeeded
        self._expire_seconds = expire_seconds
        self._lost = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        arguments = (renew_seconds,)
        self._thread = threading.Thread(target=self._keep, args=arguments, name="lease", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> str:
        """Why the lease is lost, "" while it is held as far as is known here. Asks nobody."""
        if not self._lost and time.monotonic() - self._renewed > self._expire_seconds:
            return f"it could not be renewed for {self._expire_seconds:g} s"
        return self._lost

    def check(self) -> None:
        """Renew the lease now. Raises LeaseError if it is lost, StoreError if the storage does not answer."""
        with self._lock:
            if not self.lost:
                self._renew()
            if self.lost:
                raise LeaseError(
                    f"run {self._claim.run} no longer holds {self.output}: {self.lost}; nothing was committed: "
                    "wait for the other run to end, and run again to go on from what is done"
                )

    def release(self) -> None:
        """Give the lease back, if it is still ours, and stop renewing. It is an error neither twice nor when lost."""
        self._ended.set()
        with self._lock:
            if self._claim.released or self._lost:
                return
            self._claim = replace(self._claim, released=True)
            try:  # a put, for a removal has no condition: it could hit the lease of a run that came after us
                self._replace(self._claim)
            except Conflict:
                log.warning("the lease of %s was taken over before it was released", self.output)
            except (StoreError, OSError) as error:
                log.warning("the lease of %s was not released, and has to expire: %s", self.output, error)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _keep(self, renew_seconds: float) -> None:
        while not self._ended.wait(renew_seconds):
            with self._lock:
                if self._ended.is_set() or self.lost:
                    break
                try:
                    self._renew()
                except (StoreError, OSError) as error:  # tried again until it has expired
                    log.warning("the lease of %s could not be renewed: %s", self.output, error)
        if self.lost:
            log.warning("the lease of %s is lost: %s", self.output, self.lost)

    def _renew(self) -> None:
        began = time.monotonic()
        claim = replace(self._claim, renewals=self._claim.renewals + 1)
        try:
            self._replace(claim)
        except Conflict:
            _, other = _read(self.output)
            self._lost = f"it was taken over by {other}" if other else "its file was removed or damaged"
            return
        self._claim, self._renewed = claim, began

    def _replace(self, claim: Claim) -> None:
        """Put a further claim of ours in the place of the last one. Raises Conflict where another's is there."""
        try:
            self._version = self.output.put_if(KEY, claim.to_json(), self._version)
        except Conflict:
            version, found = _read(self.output)
            if found is None or found.token != claim.token:
                raise
            # a put that seemed to fail had arrived
            self._version = self.output.put_if(KEY, claim.to_json(), version)


def _take(
    output: Location, claim: Claim, say: Callable[[str], None], expire_seconds: float, poll_seconds: float
) -> tuple[float, str]:
    """Put the claim in the lease's place as soon as that is right: the time before the put, and its version."""
    while True:
        version, other = _read(output)
        if version is not None and not _is_over(other):
            _refuse_living(output, other)
            _watch(output, version, other, say, expire_seconds, poll_seconds)
        began = time.monotonic()
        try:
            return began, output.put_if(KEY, claim.to_json(), version)
        except Conflict:
            continue  # another came first: look at that one


def _is_over(other: Claim | None) -> bool:
    """Whether this lease is known to hold no more. One that can't be read (None) may be somebody's."""
    return other is not None and (other.released or other.owner.is_alive_here() is False)


def _refuse_living(output: Location, other: Claim | None) -> None:
    if other is not None and other.owner.is_alive_here():
        raise LeaseError(
            f"{output} is held by {other}: wait for it to end, or stop it (kill {other.owner.pid}), and run again"
        )


def _watch(
    output: Location,
    version: str,
    other: Claim | None,
    say: Callable[[str], None],
    expire_seconds: float,
    poll_seconds: float,
) -> None:
    """Return once the lease has not changed for so long, or is given up; LeaseError when it is renewed."""
    holder = str(other) if other else "a lease that cannot be read"
    say(f"waiting up to {expire_seconds:g} s for {output}: it is held by {holder}, and may be left from a crash")
    first_seen = time.monotonic()
    while True:
        time.sleep(poll_seconds)
        asked = time.monotonic()
        now, latest = _read(output)
        if now is None or (latest is not None and latest.released):
            return
        if now != version:
            raise LeaseError(
                f"{output} is held by {latest or holder}, which is at work: wait for it to end, or stop it there"
            )
        if asked - first_seen >= expire_seconds:
            return


def _read(output: Location) -> tuple[str | None, Claim | None]:
    """Version and content of the lease; (None, None): there is none; (version, None): it can't be read."""
    try:
        data, version = output.read_versioned(KEY)
    except FileNotFoundError:
        return None, None
    return version, Claim.from_json(data)
