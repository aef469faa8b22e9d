"""The lease, with real processes that race, are killed and are stopped. Intervals are short; nothing is timed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.errors import LeaseError, StoreError
from pipelines.store.lease import KEY, Claim, Lease, check_holder, hold
from pipelines.store.location import Location, locate
from pipelines.store.owner import Owner, this_process

ELSEWHERE = Owner(host="elsewhere", boot="b", pid_namespace="n", pid=7, started=0.0)
QUICK = {"renew_seconds": 0.05, "expire_seconds": 0.5}
LASTING = {"renew_seconds": 0.05, "expire_seconds": 3600.0}  # what is held with it is held however slow the machine is

# A process that takes, checks and releases leases as it is told, line by line, and says what came of it.
HOLDER = """
import json, sys
from pipelines.errors import LeaseError
from pipelines.spec import Storage
from pipelines.store.lease import hold
from pipelines.store.location import locate
from pipelines.store.owner import Owner
uri, storage, owner, intervals = (json.loads(argument) for argument in sys.argv[1:])
say = lambda line: print("said", line, flush=True)
def take(*names):
    output = locate(uri, Storage(**storage)).join(*names)
    return hold(output, "theirs", say, owner=Owner(**owner) if owner else None, **intervals)
print("ready", flush=True)
for line in sys.stdin:
    command, *names = line.split()
    try:
        if command == "hold":
            lease = take(*names)
        else:
            getattr(lease, command)()
        print("done", flush=True)
    except LeaseError as error:
        print("lost", error, flush=True)
"""


class Holder:
    """Another process."""

    def __init__(self, output: Location, owner: Owner | None = None, **intervals: float) -> None:
        arguments = [output.uri, asdict(output.storage), asdict(owner) if owner else None, intervals]
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, *map(json.dumps, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def told(self, command: str) -> str:
        self.tell(command)
        return self.hears()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> str:
        """Kill it, if it has not ended; its stderr."""
        self.process.kill()
        return self.process.communicate()[1]


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    started: list[Holder] = []
    yield started
    for holder in started:
        holder.end()


def claim_of(output: Location) -> Claim:
    found = Claim.from_json(output.read(KEY))
    assert found is not None
    return found


def put_theirs(output: Location, owner: Owner = ELSEWHERE, token: str = "theirs") -> Claim:
    theirs = Claim(owner=owner, run="theirs", token=token, since="2026-01-01T00:00:00+00:00")
    output.put(KEY, theirs.to_json())
    return theirs


def silent(line: str) -> None:
    pytest.fail(f"nothing was to be said, but: {line}")


def wait_until_renewed(output: Location, renewals: int) -> None:
    while claim_of(output).renewals < renewals:
        time.sleep(0.01)


def test_a_lease_is_held_renewed_released_and_held_again(output: Location) -> None:
    with hold(output, "run1", silent, **LASTING) as lease:
        wait_until_renewed(output, 3)
        lease.check()
        assert lease.lost == ""
        claim = claim_of(output)
        assert (claim.run, claim.owner, claim.released) == ("run1", this_process(), False)
    assert claim_of(output).released
    lease.release()
    with hold(output, "run2", silent, **QUICK):
        assert claim_of(output).run == "run2"


def test_a_lease_is_released_when_its_run_fails(output: Location) -> None:
    with pytest.raises(RuntimeError), hold(output, "run1", silent, **QUICK):
        raise RuntimeError
    assert claim_of(output).released


def test_the_lease_of_a_living_process_here_is_refused_at_once(output: Location) -> None:
    with hold(output, "run1", silent) as lease:
        with pytest.raises(LeaseError) as refusal:
            hold(output, "run2", silent)
        lease.check()
    owner, since = this_process(), claim_of(output).since
    assert str(refusal.value) == (
        f"{output} is held by run run1 of process {owner.pid} on {owner.host}, since {since}: "
        f"wait for it to end, or stop it (kill {owner.pid}), and run again"
    )


def test_the_lease_of_a_killed_process_here_is_taken_over_at_once(output: Location, holders: list[Holder]) -> None:
    holders.append(Holder(output))
    assert holders[0].hears() == "ready"
    assert holders[0].told("hold") == "done"
    holders[0].signal(signal.SIGKILL)
    holders[0].process.wait()
    with hold(output, "run2", silent) as lease:
        lease.check()


def test_a_lease_elsewhere_that_rests_is_waited_for_and_taken_over(output: Location) -> None:
    put_theirs(output)
    said: list[str] = []
    with hold(output, "run2", said.append, **QUICK):
        assert claim_of(output).run == "run2"
    assert said == [
        f"waiting up to 0.5 s for {output}: it is held by run theirs of process 7 on elsewhere, since "
        "2026-01-01T00:00:00+00:00, and may be left from a crash"
    ]


def test_a_lease_elsewhere_that_is_renewed_is_refused(output: Location, holders: list[Holder]) -> None:
    holders.append(Holder(output, ELSEWHERE, renew_seconds=0.05))
    assert holders[0].hears() == "ready"
    assert holders[0].told("hold") == "done"
    with pytest.raises(LeaseError, match=r"theirs of process 7 on elsewhere, .* which is at work"):
        hold(output, "run2", lambda _: None, renew_seconds=0.05, expire_seconds=60)
    assert holders[0].told("check") == "done"


def test_a_lease_that_is_released_while_it_is_watched_is_taken(output: Location, holders: list[Holder]) -> None:
    holders.append(Holder(output, ELSEWHERE, renew_seconds=3600))
    assert holders[0].hears() == "ready"
    assert holders[0].told("hold") == "done"
    with hold(output, "run2", lambda _: holders[0].told("release"), renew_seconds=0.05, expire_seconds=3600) as lease:
        lease.check()


def test_a_lease_that_vanishes_while_it_is_watched_is_taken(output: Location) -> None:
    put_theirs(output)
    with hold(output, "run2", lambda _: output.remove([KEY]), renew_seconds=0.05, expire_seconds=3600) as lease:
        lease.check()


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b'{"owner": 5}', b'{"run": "a"}'])
def test_a_lease_that_cannot_be_read_may_be_somebodys(tmp_path: Path, content: bytes) -> None:
    output = locate(str(tmp_path))
    output.put(KEY, content)
    said: list[str] = []
    with hold(output, "run2", said.append, **QUICK):
        assert claim_of(output).run == "run2"
    assert len(said) == 1
    assert "a lease that cannot be read" in said[0]


def test_who_was_overtaken_learns_it_and_leaves_the_other_alone(output: Location) -> None:
    lease = hold(output, "run1", silent, renew_seconds=3600)
    theirs = put_theirs(output)
    with pytest.raises(LeaseError, match=r"run run1 no longer holds .*: it was taken over by run theirs of process 7"):
        lease.check()
    with pytest.raises(LeaseError):
        lease.check()
    lease.release()
    assert claim_of(output) == theirs


def test_a_lease_overtaken_unawares_is_not_released(output: Location) -> None:
    lease = hold(output, "run1", silent, renew_seconds=3600)
    theirs = put_theirs(output)
    lease.release()
    assert claim_of(output) == theirs


def test_the_renewing_thread_notices_the_loss(output: Location) -> None:
    lease = hold(output, "run1", silent, **LASTING)
    put_theirs(output)
    while not lease.lost:
        time.sleep(0.01)
    assert "taken over by run theirs" in lease.lost


def test_a_lease_whose_file_was_removed_is_lost(output: Location) -> None:
    lease = hold(output, "run1", silent, renew_seconds=3600)
    output.remove([KEY])
    with pytest.raises(LeaseError, match="removed or damaged"):
        lease.check()


def test_a_put_that_seemed_to_fail_but_arrived_is_no_loss(output: Location) -> None:
    with hold(output, "run1", silent, renew_seconds=3600) as lease:
        output.put(KEY, replace(claim_of(output), renewals=1, since="arrived").to_json())
        lease.check()
        assert claim_of(output).since != "arrived"
    assert claim_of(output).released


class Cut:
    """Makes an output on disk unwritable, for root too, and well again."""

    def __init__(self, root: Path) -> None:
        self._tmp, self._away = root / "_manta" / "tmp", root / "_manta" / "away"

    def cut(self) -> None:
        self._tmp.rename(self._away)
        self._tmp.write_text("a file, where a folder should be")

    def mend(self) -> None:
        self._tmp.unlink()
        self._away.rename(self._tmp)


def test_a_storage_that_fails_for_a_while_is_outlived(tmp_path: Path) -> None:
    output, storage = locate(str(tmp_path)), Cut(tmp_path)
    with hold(output, "run1", silent, renew_seconds=0.02, expire_seconds=3600) as lease:
        wait_until_renewed(output, 1)
        storage.cut()
        with pytest.raises(StoreError):
            lease.check()
        time.sleep(0.1)
        assert lease.lost == ""
        storage.mend()
        wait_until_renewed(output, claim_of(output).renewals + 2)
        lease.check()


def test_a_lease_that_could_not_be_renewed_for_too_long_is_lost(tmp_path: Path) -> None:
    output, storage = locate(str(tmp_path)), Cut(tmp_path)
    lease = hold(output, "run1", silent, **QUICK)
    storage.cut()
    while not lease.lost:
        time.sleep(0.01)
    storage.mend()
    with pytest.raises(LeaseError, match=r"could not be renewed for 0\.5 s"):
        lease.check()
    lease.release()  # says nothing


def test_a_stopped_owner_that_wakes_up_learns_that_it_lost_the_lease(output: Location, holders: list[Holder]) -> None:
    holders.append(Holder(output, ELSEWHERE, **LASTING))
    assert holders[0].hears() == "ready"
    assert holders[0].told("hold") == "done"
    holders[0].signal(signal.SIGSTOP)
    with hold(output, "run2", lambda _: None, **QUICK):
        holders[0].signal(signal.SIGCONT)
        answer = holders[0].told("check")
        assert answer.startswith("lost run theirs no longer holds")
        assert "taken over by run run2" in answer
        assert holders[0].told("release") == "done"
        assert claim_of(output).run == "run2"


def test_control_c_ends_the_waiting(output: Location, holders: list[Holder]) -> None:
    put_theirs(output)
    holders.append(Holder(output, renew_seconds=3600, expire_seconds=3600))
    assert holders[0].hears() == "ready"
    assert holders[0].told("hold").startswith("said waiting up to 3600 s")
    holders[0].signal(signal.SIGINT)
    assert holders[0].process.wait() != 0
    assert "KeyboardInterrupt" in holders[0].end()


def test_of_processes_that_race_for_a_lease_one_wins(output: Location, holders: list[Holder]) -> None:
    holders += [Holder(output) for _ in range(3)]
    assert [holder.hears() for holder in holders] == ["ready"] * 3
    for number in range(30 if output.is_local else 10):
        for holder in holders:
            holder.tell(f"hold {number}")
        answers = [holder.hears() for holder in holders]
        assert sorted(answer.split()[0] for answer in answers) == ["done", "lost", "lost"]
        assert holders[answers.index("done")].told("check") == "done"
        assert holders[answers.index("done")].told("release") == "done"


def test_of_processes_that_race_for_a_lease_left_from_a_crash_one_wins(output: Location, holders: list[Holder]) -> None:
    """All watch it, and then all want it."""
    holders += [Holder(output, renew_seconds=0.02, expire_seconds=0.1) for _ in range(3)]
    assert [holder.hears() for holder in holders] == ["ready"] * 3
    for number in range(10 if output.is_local else 4):
        place = output.join(str(number))
        put_theirs(place)
        for holder in holders:
            holder.tell(f"hold {number}")
        answers = [_after_waiting(holder) for holder in holders]
        assert sorted(answer.split()[0] for answer in answers) == ["done", "lost", "lost"]
        winner = holders[answers.index("done")]
        assert claim_of(place).owner.pid == winner.process.pid
        assert winner.told("release") == "done"


def _after_waiting(holder: Holder) -> str:
    answer = holder.hears()
    return holder.hears() if answer.startswith("said") else answer


def test_of_threads_that_race_for_a_lease_one_wins(output: Location) -> None:
    won: list[Lease] = []

    def attempt() -> None:
        with suppress(LeaseError):
            won.append(hold(output, "run", silent))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


def test_who_works_for_a_run_learns_that_another_has_the_lease(output: Location) -> None:
    check_holder(output, "ours")  # nobody has
    with hold(output, "ours", silent):
        check_holder(output, "ours")
        with pytest.raises(LeaseError, match=r"run theirs no longer holds .* taken over by run ours"):
            check_holder(output, "theirs")
    check_holder(output, "theirs")  # it was released
