from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.embed import Measured, compare, reported, seconds_of, vectors
from benchmarks.peers import Outcome
from benchmarks.watch import Watched


def measured(seconds: float, num_computed_tokens: int = 1000, cosine: float = 1.0) -> Measured:
    watched = Watched(seconds=seconds + 5, first_file_seconds=3.0, total_private_bytes=2_000_000_000)
    return Measured(Outcome(seconds, num_computed_tokens), watched, cosine)


def test_ratios_are_paired_by_round() -> None:
    """The machine was half as fast in the second round: each round's own ratio is 4 all the same."""
    played = [
        {"st-float32": measured(8.0), "manta": measured(2.0, cosine=0.9999)},
        {"st-float32": measured(16.0), "manta": measured(4.0, cosine=0.9998)},
        {"st-float32": measured(8.0), "manta": measured(2.0, num_computed_tokens=1000)},
    ]
    manta = [
        cell.strip() for cell in compare(played, num_rows=100, num_tokens=960).splitlines()[3].strip("|").split("|")
    ]
    assert manta == ["Manta", "480", "50.0", "4.00", "4.0%", "-", "2,000", "3.0", "7.0", "0.99980"]
    assert seconds_of(played)[1] == {"st-float32": 16.0, "manta": 4.0}


def test_the_report_is_read_from_the_encoders_clock(tmp_path: Path) -> None:
    """Two actors waited 2 s and worked 18 s together: 10 s each, then a write of 0.5 s and a commit of 1 s."""
    stages = {"read": 9.0, "encode wait": 2.0, "encode compute": 17.0, "encode convert": 1.0, "write": 4.0}
    report = {
        "stage_seconds": stages,
        "placement": {"encode_actors": [1, 2, 2]},
        "slices": 8,
        "phase_seconds": {"plan": 3.0, "encode": 30.0, "commit": 1.0},
        "computed_tokens": 77,
    }
    (tmp_path / "_manta/runs").mkdir(parents=True)
    (tmp_path / "_manta/runs/r.json").write_text(json.dumps(report))
    assert reported(tmp_path) == Outcome(11.5, 77, 0.1)


@pytest.mark.parametrize("kind", ["fixed", "ragged"])
def test_vectors_come_in_order_of_their_ids_and_of_length_one(tmp_path: Path, kind: str) -> None:
    embedding = pa.array([[3.0, 4.0], [0.0, 2.0]], pa.list_(pa.float32(), 2 if kind == "fixed" else -1))
    pq.write_table(pa.table({"id": ["b", "a"], "embedding": embedding}), tmp_path / "x.parquet")
    assert vectors(tmp_path) == pytest.approx(np.array([[0, 1], [0.6, 0.8]]))
