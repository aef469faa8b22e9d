from __future__ import annotations

from pathlib import Path

from benchmarks.memory import WIDTH, compare, tiny_model
from benchmarks.watch import Watched
from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec


def test_the_tiny_model_is_a_model(tmp_path: Path) -> None:
    spec = EmbedSpec(model=str(tiny_model(tmp_path / "model")))
    assert Encoder(spec).encode(["peace", "war"]).shape == (2, WIDTH)


def test_sizes_stand_side_by_side() -> None:
    small = Watched(10.0, 1.0, 50_000_000, 7_000_000, {1: 20_000_000}, {1: "driver"})
    roles = {1: "driver", 2: "Write", 3: "Write"}
    large = Watched(99.6, 1.0, 60_000_000, 8_000_000, {1: 21_000_000, 2: 3_000_000, 3: 4_000_000}, roles)
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in compare({12: small, 300: large}).splitlines()
    ]
    assert lines[0] == ["", "12 MB", "300 MB"]
    assert lines[2:] == [
        ["Write", "none", "4 (2)"],
        ["driver", "20 (1)", "21 (1)"],
        ["all processes", "50", "60"],
        ["object store", "7", "8"],
        ["seconds", "10", "100"],
    ]
