"""What is left to do of files that came, changed and went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.run.convert.conversion import replan
from pipelines.run.convert.convert_report import Files
from pipelines.store.conversion import Group, Plan
from pipelines.store.shards import Shard
from pipelines.store.sources import Source

FULL = 20


def source(name: str, version: str = "1", split: str = "") -> Source:
    return Source(file=Shard(name, f"/x/{name}", 10, version), format=".txt", compression="", split=split)


def told(plan: Plan) -> dict[int, list[str]]:
    return {group.number: [file.name for file in group.files] for group in plan.groups}


@pytest.fixture
def plan() -> Plan:
    return replan(Plan(), set(), [source(name) for name in "abcde"], FULL)[0]


def test_the_first_plan_has_all_files(plan: Plan) -> None:
    assert told(plan) == {0: ["a", "b"], 1: ["c", "d"], 2: ["e"]}
    assert plan.next_number == 3


def test_the_same_files_are_the_same_plan(plan: Plan) -> None:
    again, files = replan(plan, {0, 2}, [source(name) for name in "abcde"], FULL)
    assert again == plan
    assert files == Files(there=5, begun_again=2)


def test_new_files_come_into_groups_of_their_own(plan: Plan) -> None:
    again, files = replan(plan, {0, 1, 2}, _named("a", "a1", *"bcde"), FULL)
    assert told(again) == {**told(plan), 3: ["a1"]}
    assert files == Files(there=6, new=1)


def test_a_file_that_changed_takes_its_group_with_it(plan: Plan) -> None:
    now = [source("a"), source("b", "2"), *_named(*"cde")]
    again, files = replan(plan, {0, 1, 2}, now, FULL)
    assert told(again) == {1: ["c", "d"], 2: ["e"], 3: ["a", "b"]}
    assert (again.groups[-1].files[1].version, again.next_number) == ("2", 4)
    assert files == Files(there=5, new=2, changed=1)


def test_files_that_vanished_stay_where_they_are_done(plan: Plan) -> None:
    again, files = replan(plan, {0}, _named("b", "d", "e"), FULL)
    assert told(again) == {0: ["a", "b"], 2: ["e"], 3: ["d"]}
    assert files == Files(there=3, new=1, vanished=1, begun_again=1)


def test_a_number_is_never_used_twice() -> None:
    before = Plan(groups=(Group(number=5, split="", files=(source("a").file,)),), next_number=6)
    again, _ = replan(before, {5}, [source("a", "2")], FULL)
    last, _ = replan(replace(again, groups=()), set(), [source("a", "3")], FULL)
    assert (told(again), told(last)) == ({6: ["a"]}, {7: ["a"]})


def _named(*names: str) -> list[Source]:
    return [source(name) for name in names]
