"""What lies beside converted shards: whose output it is, what is planned, what is done."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import FingerprintError
from pipelines.store.conversion import (
    DEAD_LETTERS,
    Done,
    Group,
    Plan,
    claim,
    done_numbers,
    finish_group,
    plan_groups,
    read_columns,
    read_plan,
    strangers,
    write_plan,
)
from pipelines.store.location import Location
from pipelines.store.shards import Shard


def file(name: str, size: int = 10) -> Shard:
    return Shard(name, f"/x/{name}", size, "1")


def test_an_output_belongs_to_its_first_spec(output: Location) -> None:
    spec = ConvertSpec(types={"n": "bool"})
    assert read_columns(output, spec) is None
    claim(output, spec, {"taken": "abc"})
    assert read_columns(output, spec) == {"taken": "abc"}
    with pytest.raises(FingerprintError, match=r"was converted otherwise: ids: 'auto' -> 'line'; nothing was touched"):
        read_columns(output, ConvertSpec(types={"n": "bool"}, ids="line"))
    with pytest.raises(FingerprintError, match="was begun by another run just now"):
        claim(output, spec, {})


@pytest.mark.parametrize("content", [b"{}", b"[]", b"{", b'{"kind": "EmbedSpec", "format": 1}'])
def test_outputs_of_others_are_left_alone(content: bytes, output: Location) -> None:
    output.put("parts/x.parquet", b"x")
    with pytest.raises(FingerprintError, match=r"holds files that are not of a conversion \(such as parts/x.parquet\)"):
        claim(output, ConvertSpec(), {})
    output.put("_manta/spec.json", content)
    with pytest.raises(FingerprintError, match="is not of a conversion that this version of Manta knows"):
        read_columns(output, ConvertSpec())


def test_small_files_share_a_group_and_splits_do_not() -> None:
    files = {"": [file("a", 6), file("b", 4), file("c", 1)], "train": [file("train/a", 50), file("train/b", 1)]}
    groups = plan_groups(files, 7, 10)
    assert [(one.number, one.split, [shard.name for shard in one.files]) for one in groups] == [
        (7, "", ["a", "b"]),
        (8, "", ["c"]),
        (9, "train", ["train/a"]),
        (10, "train", ["train/b"]),
    ]
    assert groups[3].key(2) == "train/000010-00002.parquet"
    assert groups[0].key(0) == "000007-00000.parquet"


def test_a_plan_is_read_as_it_was_written(output: Location) -> None:
    assert read_plan(output) == Plan()
    plan = Plan(groups=tuple(plan_groups({"s": [file("s/ä")]}, 3, 10)), next_number=4)
    write_plan(output, plan)
    assert read_plan(output) == plan


def test_a_group_that_is_done_has_its_shards_and_no_others(output: Location) -> None:
    group, other = (Group(number=number, split="", files=(file("a"),)) for number in (3, 4))
    for key in (group.key(0), group.key(1), group.key(2), other.key(5)):
        output.put(key, b"x")
    letters = pa.Table.from_pylist([{"file": "a", "line": 3, "reason": "it is no UTF-8"}], DEAD_LETTERS)
    output.put(group.done_key(3), b"of an earlier time, when it had three")
    done = Done(shards={group.key(0): 5, group.key(1): 4}, num_dead_letters=2, set_aside={})
    finish_group(output, group, done, [letters, letters])
    assert done_numbers(output) == {3}
    kept = {group.key(0), group.key(1), other.key(5), group.done_key(2), group.dead_letters_key}
    assert {entry.key for entry in output.list()} - {"_manta/tmp/lock"} == kept
    told = pq.read_table(pa.BufferReader(output.read(group.dead_letters_key)))
    assert told["line"].to_pylist() == [3, 3]
    assert strangers(output, Plan(groups=(group, other))) == []
    assert strangers(output, Plan(groups=(group,))) == [other.key(5)]
    assert set(strangers(output, Plan(groups=(other,)))) == kept - {other.key(5)}
    output.remove([group.key(1)])
    assert done_numbers(output) == set()  # it has to be done again
