"""The job, on real Ray: the parts it writes, what it leaves undone, and one text alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from jobs import entry
from jobs.predict import predict
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Predictor
from pipelines.run.prospects.prospect import look_ahead
from pipelines.spec import EncodePool, Slicing, TokenizePool
from tests.model.conftest import save
from tests.tiny import listing, own_data_context, rows, write_shard

TEXTS = ["the [MASK] of bread", "stone bread wind night", "", "king", "a ship", "[MASK]", "gold, horse; market", "war"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PredictSpec:
    model = save(tmp_path_factory.mktemp("masked"), "Bert", kind="ForMaskedLM")
    outputs = ["fill_mask", "pseudo_perplexity"]
    return PredictSpec(model=str(model), precision="float32", outputs=outputs, passthrough=["year"])


def run(spec: PredictSpec, folder: Path, **more: Any) -> int:
    asked = {"documents": str(folder / "corpus"), "output": str(folder / "out"), "progress": "none"}
    with own_data_context():
        return predict(
            spec, slicing=Slicing(max_rows=3), gpu=EncodePool(max_actors=1, num_cpus=1, num_threads=1),
            cpu=TokenizePool(max_actors=1, num_cpus=0.25), **asked | more,
        )  # fmt: skip


def test_a_corpus_is_predicted_exactly_once(spec: PredictSpec, ray_session: None, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 8, text=TEXTS)
    assert run(spec, tmp_path) == 0
    found = rows(tmp_path / "out")
    assert [row["id"] for row in found] == list(range(8))
    assert [row["year"] for row in found] == list(range(1900, 1908))
    for row, one in zip(found, Predictor(spec).predict(TEXTS), strict=True):
        assert row["num_tokens"] == len(one["tokens"])
        for filling, other in zip(row["fill_mask"], one["fill_mask"], strict=True):
            assert filling["ids"] == other["ids"]
            assert filling["log_probs"] == pytest.approx(other["log_probs"], abs=1e-5)
        ours, theirs = row["pseudo_perplexity"], one["pseudo_perplexity"]
        assert (ours["num_scored"], ours["reason"]) == (theirs["num_scored"], theirs["reason"])
        assert ours["perplexity"] == (theirs["perplexity"] and pytest.approx(theirs["perplexity"], rel=1e-4))
    (part, *_) = sorted((tmp_path / "out/parts").rglob("*.parquet"))
    metadata = pq.read_schema(part).metadata
    assert metadata[b"manta.outputs"] == b"['fill_mask', 'pseudo_perplexity']"
    (run_file,) = (tmp_path / "out/_manta/runs").iterdir()
    told = json.loads(run_file.read_text())
    assert (told["plan"]["tokens"], told["plan"]["rows"]) == (told["tokens"], 8)
    before = listing(tmp_path / "out")
    assert run(spec, tmp_path) == 0
    after = listing(tmp_path / "out")
    assert {key: after[key] for key in before if key.startswith("parts")} == {
        key: stat for key, stat in before.items() if key.startswith("parts")
    }
    best = f"SELECT fill_mask[1].tokens[1] FROM '{tmp_path}/out/parts/**/*.parquet' WHERE id = 0"
    assert duckdb.sql(best).fetchall() == [(found[0]["fill_mask"][0]["tokens"][0],)]


def test_a_plan_measures_what_is_predicted(spec: PredictSpec, tmp_path: Path) -> None:
    """Bytes are those of rows that were predicted; without, they are reckoned, to the order of magnitude."""
    write_shard(tmp_path / "corpus/a.parquet", 8, text=TEXTS)
    arguments = {"spec": spec, "documents": str(tmp_path / "corpus"), "output": str(tmp_path / "out"),
                 "gpu": EncodePool(device="cpu", num_threads=1)}  # fmt: skip
    measured, told = look_ahead("predict", arguments), look_ahead("predict", arguments, measuring=False)
    assert measured.pace is not None
    assert told.pace is None
    assert (measured.expected.rows, measured.expected.tokens) == (told.expected.rows, told.expected.tokens)
    assert told.expected.write_bytes / 4 < measured.expected.write_bytes < 4 * told.expected.write_bytes


def test_one_text_is_answered_without_ray(spec: PredictSpec, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(predict, ["--spec.model", spec.model, "--spec.top_k", "2", "--text", "the [MASK] of"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokens"] == ["[CLS]", "the", "[MASK]", "of", "[SEP]"]
    assert [filling["position"] for filling in told["fill_mask"]] == [2]
    assert len(told["fill_mask"][0]["tokens"]) == 2


def test_what_a_model_cannot_give_is_one_line(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(predict, ["--spec.model", str(tiny_model), "--documents", "d", "--output", "o"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
