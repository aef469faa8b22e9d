from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import pretrain
from benchmarks.pretrain import Ran, compare
from tests.tiny_instances import prepare


def test_ratios_are_paired_by_round() -> None:
    played = [
        {"plain": Ran(10, 1000, 5, None), "manta": Ran(2, 1000, 4, 0.01)},  # 5 times
        {"plain": Ran(1, 1000, 5, None), "manta": Ran(1, 4000, 4, 0.02)},  # 4 times
        {"plain": Ran(1, 500, 5, None), "manta": Ran(1, 1500, 3.5, 0.03)},  # 3 times
    ]
    *_, plain, manta = (line.split("|")[1:-1] for line in compare(played).splitlines())
    assert [cell.strip() for cell in plain] == ["transformers", "500", "1.00", "-", "5.00"]
    assert [cell.strip() for cell in manta] == ["Manta", "1,500", "4.00", "2.0 %", "3.50"]


def test_a_measurement_is_a_file(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instances = prepare(tmp_path / "instances", tiny_model)
    monkeypatch.setattr(pretrain, "CONTESTANTS", ["plain", "manta"])
    monkeypatch.setenv("PYTHONPATH", str(Path(pretrain.__file__).parent.parent))
    monkeypatch.chdir(tmp_path)
    pretrain.main(instances, str(tiny_model), batch=8, steps=2, rounds=1, results=tmp_path / "results")
    (page,) = (tmp_path / "results").iterdir()
    assert page.name.startswith("pretrain-")
    assert "| Manta " in page.read_text()
