"""What an output of a conversion holds: shards, and beside them which files they were made of.

    OUTPUT/[SPLIT/]<group>-<number>.parquet     the shards; a group is files that are read one after another
    OUTPUT/_manta/spec.json                     what decides them, and their columns, from the first run on
    OUTPUT/_manta/plan.json                     the files of each group; a run adds groups of files that are new
    OUTPUT/_manta/done/<group>-<shards>.json    written last: the group has so many shards
    OUTPUT/_manta/dead_letters/<group>.parquet  lines that gave no document

A group is done as a whole or begins again. One whose files have changed leaves the plan, and what is left of its files
comes back in another: numbers are never used twice, so a shard's name tells which plan it is of.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import FingerprintError
from pipelines.fingerprint import canonical, differences, fingerprint
from pipelines.store.location import Conflict, Location
from pipelines.store.output import KEY, UNTOUCHED, beside
from pipelines.store.shards import Shard

FORMAT = 1
KIND = "ConvertSpec"
PLAN = "_manta/plan.json"
DONE = "_manta/done/"
DEAD = "_manta/dead_letters/"
NAME = re.compile(rf"(?:{DONE}|{DEAD}|[^/]+/)?(\d{{6,}})(?:-(\d{{5,}}))?\.(?:parquet|json)")
DEAD_LETTERS = pa.schema([("file", pa.string()), ("line", pa.int64()), ("reason", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Group:
    """Files of one split that are read one after another, into shards of their own."""

    number: int
    split: str
    files: tuple[Shard, ...]

    def key(self, number: int) -> str:
        """Path under the output of its shard of this number."""
        return f"{self.split}/" * bool(self.split) + f"{self.number:06d}-{number:05d}.parquet"

    def done_key(self, num_shards: int) -> str:
        """Path under the output of the note that it is done, in so many shards."""
        return f"{DONE}{self.number:06d}-{num_shards:05d}.json"

    @property
    def dead_letters_key(self) -> str:
        """Path under the output of its dead letters."""
        return f"{DEAD}{self.number:06d}.parquet"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The groups there are, and the number of the next."""

    groups: tuple[Group, ...] = ()
    next_number: int = 0


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a group."""

    shards: dict[str, int]
    """Rows by key."""
    num_dead_letters: int
    set_aside: dict[str, str]
    """Why a file was not read to its end, by its name."""


def claim(output: Location, spec: object, columns: Mapping[str, Any]) -> None:
    """Write what decides the shards of a new output. FingerprintError where there are other results."""
    part = next((entry.key for entry in output.list() if not entry.key.startswith("_manta/")), None)
    if part is not None:
        raise FingerprintError(f"{output} holds files that are not of a conversion (such as {part}); {beside(output)}")
    told = {"format": FORMAT, "kind": KIND, "spec": canonical(spec), "columns": columns}
    try:
        output.put_if(KEY, json.dumps(told | {"fingerprint": fingerprint(spec, "")}, indent=2).encode(), None)
    except Conflict:
        raise FingerprintError(f"{output} was begun by another run just now; run again") from None


def read_columns(output: Location, spec: object) -> dict[str, Any] | None:
    """The columns of an output, None of a new one. FingerprintError where another spec decided its shards."""
    try:
        told = json.loads(output.read(KEY))
        if told.get("kind") != KIND or told.get("format") != FORMAT:
            raise ValueError
        theirs, columns = dict(told["spec"]), dict(told["columns"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FingerprintError(
            f"{output.join(KEY)} is not of a conversion that this version of Manta knows; {UNTOUCHED}: {beside(output)}"
        ) from None
    ours = json.loads(json.dumps(canonical(spec)))
    if ours != theirs:
        raise FingerprintError(
            f"{output} was converted otherwise: {'; '.join(differences(ours, theirs))}; {UNTOUCHED}: {beside(output)}"
        )
    return columns


def read_plan(output: Location) -> Plan:
    """The plan of an output, an empty one of a new output."""
    try:
        told = json.loads(output.read(PLAN))
    except FileNotFoundError:
        return Plan()
    groups = [Group(**one | {"files": tuple(Shard(**file) for file in one["files"])}) for one in told["groups"]]
    return Plan(groups=tuple(groups), next_number=told["next_number"])


def write_plan(output: Location, plan: Plan) -> None:
    """The plan in place of the one before."""
    output.put(PLAN, json.dumps(asdict(plan)).encode())


def done_numbers(output: Location) -> set[int]:
    """Numbers of the groups that are done, and whose shards are all there still."""
    told: dict[int, int] = {}
    there: Counter[int] = Counter()
    for entry in output.list():
        name = NAME.fullmatch(entry.key)
        if name and entry.key.startswith(DONE):
            told[int(name[1])] = int(name[2])
        elif name and not entry.key.startswith(DEAD):
            there[int(name[1])] += 1
    return {number for number, num_shards in told.items() if there[number] == num_shards}


def finish_group(output: Location, group: Group, done: Done, letters: Iterable[pa.Table]) -> None:
    """Write a group's dead letters, then that it is done. Its shards are there; what else has its number is removed."""
    tables = list(letters)
    shards, note = group.key(0).removesuffix("00000.parquet"), group.done_key(len(done.shards))
    prefixes = (shards, note.removesuffix(f"{len(done.shards):05d}.json"))
    listed = [entry.key for prefix in prefixes for entry in output.list(prefix)]
    output.remove([key for key in listed if key not in done.shards and key != note])
    if tables:
        table = pa.concat_tables(tables)
        output.put_written(group.dead_letters_key, lambda path: pq.write_table(table, path, compression="zstd"))
    output.put(note, json.dumps(asdict(done)).encode())


def strangers(output: Location, plan: Plan) -> list[str]:
    """Keys of what there is of groups that have left the plan."""
    numbers = {group.number for group in plan.groups}
    found = ((entry.key, NAME.fullmatch(entry.key)) for entry in output.list())
    return [key for key, name in found if name and int(name[1]) not in numbers]


def plan_groups(files: Mapping[str, Sequence[Shard]], first: int, full_bytes: int) -> list[Group]:
    """Groups of files by split: a large file is alone, small ones together up to ``full_bytes`` as they are stored."""
    groups: list[tuple[str, list[Shard]]] = []
    for split, shards in sorted(files.items()):
        room = -1
        for shard in shards:
            if shard.size > room:
                groups.append((split, []))
                room = full_bytes
            groups[-1][1].append(shard)
            room -= shard.size
    return [
        Group(number=number, split=split, files=tuple(shards)) for number, (split, shards) in enumerate(groups, first)
    ]
