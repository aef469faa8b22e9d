from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import predict
from benchmarks.predict import Ran
from tests.tiny import sentence


def fillings(*log_probs: float, first: int = 7) -> np.ndarray:
    """A mask a number, with two fillings each."""
    return np.array([[[one, one - 1], [first, 8]] for one in log_probs])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_twelfth_word_is_masked() -> None:
    text = " ".join(str(number) for number in range(1, 26))
    assert [place for place, word in enumerate(predict.with_masks(text).split(), 1) if word == "[MASK]"] == [12, 24]
    assert predict.with_masks("one\ntwo three", every=2) == "one [MASK] three"
    assert predict.with_masks("one") == "one"


def test_errors_are_of_log_probabilities_alone() -> None:
    """Ids may differ where two tokens are equally likely."""
    worst, mean = predict.errors(fillings(-1.0, -2.5), fillings(-1.0, -2.0, first=9))
    assert (worst, mean) == (0.5, 0.25)
    assert predict.errors(np.array([-1.0, -3.0]), np.array([-1.5, -3.0])) == (0.5, 0.25)
    with pytest.raises(ValueError, match="2 scores stand beside 1"):
        predict.errors(np.zeros(2), np.zeros(1))


def test_a_contestant_is_told_beside_each_peer() -> None:
    """The machine was half as fast in the second round: each round's own ratio is 4 all the same."""
    peer, same, other = fillings(-1.0, -2.0), fillings(-1.0, -2.0), fillings(-1.0, -2.25, first=9)
    other[0, 1, 0] = 7
    played = [
        {"plain": Ran(8.0, peer, 900_000_000), "manta": Ran(2.0, same, 300_000_000)},
        {"plain": Ran(16.0, peer, 900_000_000), "manta": Ran(4.0, other, 300_000_000)},
        {"plain": Ran(8.0, peer, 900_000_000), "manta": Ran(2.0, same, 300_000_000)},
    ]
    lines = [cells(line) for line in predict.compare(played, num_rows=100).splitlines()]
    assert lines[0] == ["", "documents/s", "x transformers", "error", "mean error", "same first", "private MB"]
    assert lines[2] == ["transformers", "12.50", "1.00", "0.0e+00", "0.0e+00", "100.0%", "900"]
    assert lines[3] == ["Manta", "50.00", "4.00", "2.5e-01", "1.2e-01", "50.0%", "300"]


def test_texts_are_prepared_for_their_task(tmp_path: Path) -> None:
    """The contestants read what is told: five evenly spaced texts, with masks where masks are filled."""
    (tmp_path / "corpus").mkdir()
    texts = [sentence(number, 14) for number in range(9)]
    pq.write_table(pa.table({"id": [str(n) for n in range(9)], "text": texts}), tmp_path / "corpus/x.parquet")
    for task, expected in {
        "pseudo_perplexity": texts[::2],
        "fill_mask": [*map(predict.with_masks, texts[::2])],
    }.items():
        assert predict.prepare(task, tmp_path / "corpus", tmp_path / task, 5) == expected
        assert pq.read_table(tmp_path / task)["text"].to_pylist() == expected


def test_a_contest_on_a_small_model(masked_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each contestant in its process; Manta in float32 within 1e-4 of the plain loop."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(predict, "CONTESTANTS", {"pseudo_perplexity": ["plain", "manta-float32"]})
    (tmp_path / "corpus").mkdir()
    texts = [sentence(number, 14) for number in range(3)]
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": texts}), tmp_path / "corpus/x.parquet")
    predict.main(tmp_path / "corpus", masked_model, scored_rows=2, rounds=1, results=tmp_path / "results")
    (path,) = (tmp_path / "results").iterdir()
    report = path.read_text()
    assert "make bench-predict ROWS=256 SCORED_ROWS=2 ROUNDS=1" in report
    assert "2 paragraphs, 32 tokens, 28 tokens scored." in report
    (error,) = [
        float(cells(line)[3]) for line in report.splitlines() if line.startswith("| Manta") and line.count("|") > 5
    ]
    assert error < 1e-4
