from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import contest

TITLES = {"peer": "A peer", "manta": "Manta"}
ROUNDS = [{"peer": 8.0, "manta": 2.0}, {"peer": 16.0, "manta": 4.0}, {"peer": 9.0, "manta": 1.0}]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_second_round_runs_in_the_opposite_order() -> None:
    order: list[str] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    played = list(contest.in_turn(["peer", "manta"], 3, run, TITLES))
    assert order == ["peer", "manta", "manta", "peer", "peer", "manta"]
    assert played == [{"peer": 1, "manta": 2}, {"peer": 4, "manta": 3}, {"peer": 5, "manta": 6}]
    assert list(played[1]) == ["peer", "manta"]


def test_ratios_are_paired_by_round() -> None:
    """4, 4 and 9 times as fast; the ratio of the medians would be 4.5."""
    assert contest.ratio(ROUNDS, "manta", "peer") == 4
    assert contest.ratio(ROUNDS, "manta", "manta") == 1


def test_every_round_is_told() -> None:
    lines = contest.every_round("tokens/s", 1600, ROUNDS, TITLES).splitlines()
    assert cells(lines[0]) == ["tokens/s", "round 1", "round 2", "round 3"]
    assert [cells(line) for line in lines[2:]] == [["A peer", "200", "100", "178"], ["Manta", "800", "400", "1,600"]]
    slow = contest.every_round("documents/s", 40, ROUNDS, TITLES).splitlines()
    assert cells(slow[2]) == ["A peer", "5.0", "2.5", "4.4"]


def test_a_report_is_named_after_theme_hardware_and_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contest.publish("# Found\n", "theme", tmp_path / "results")
    (path,) = (tmp_path / "results").iterdir()
    assert path.read_text() == "# Found\n"
    assert path.name.startswith("theme-")
    assert path.name[-14:-3].count("-") == 3
    assert str(path) in capsys.readouterr().out
    assert " cores " in contest.when_and_where()
