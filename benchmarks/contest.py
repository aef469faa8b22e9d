"""How contestants are compared: in turn, in rounds, and round by round.

Every second round runs in the opposite order. What ran minutes apart on the same machine is compared with each other,
and the median of the rounds' ratios counts: a machine that others use too is faster in one round than in another.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

from benchmarks.machine import hardware, slug, table, versions

Result = TypeVar("Result")


def in_turn(
    names: Sequence[str], rounds: int, run: Callable[[str], Result], titles: Mapping[str, str]
) -> Iterator[dict[str, Result]]:
    """Of each round what ``run`` gave for each contestant, by its name."""
    for number in range(rounds):
        found: dict[str, Result] = {}
        for name in names if number % 2 == 0 else reversed(names):
            print(f"round {number + 1} of {rounds}: {titles[name]}", flush=True)
            found[name] = run(name)
        yield {name: found[name] for name in names}


def ratio(rounds: Sequence[Mapping[str, float]], name: str, peer: str) -> float:
    """How many times as fast as a peer: the median over the rounds of each round's own ratio of seconds."""
    return statistics.median(seconds[peer] / seconds[name] for seconds in rounds)


def every_round(unit: str, amount: float, rounds: Sequence[Mapping[str, float]], titles: Mapping[str, str]) -> str:
    """Speed of each contestant in each round, a table: ``amount`` is what it did in the round's seconds."""
    digits = ".1f" if any(amount / max(seconds.values()) < 100 for seconds in rounds) else ".0f"
    rows = [[titles[name], *(f"{amount / seconds[name]:,{digits}}" for seconds in rounds)] for name in rounds[0]]
    return table([unit, *(f"round {number + 1}" for number in range(len(rounds)))], rows)


def when_and_where() -> str:
    """When and on what, as a line of a report."""
    return f"{date.today()}, on {hardware()}. {versions()}."


def publish(report: str, theme: str, results: Path) -> None:
    """Write a report under a name that tells theme, hardware and date, and print it."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{theme}-{slug(hardware())}-{date.today()}.md"
    path.write_text(report)
    print(f"\n{report}\n{path}")
