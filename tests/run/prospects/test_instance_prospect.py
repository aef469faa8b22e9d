"""--plan of prepare, held to the run that follows it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs import entry
from jobs.prepare import prepare
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.order import Rates
from pipelines.run.prospects.instance_prospect import InstanceProspect
from pipelines.run.prospects.prospect import look_ahead
from pipelines.spec import Slicing, TokenizePool
from tests.prepared import prepare_in_turn
from tests.run.prospects.test_instance_sample import documents
from tests.run.prospects.test_prospect_tables import cells
from tests.tiny import listing, write_shard

TWENTY = Slicing(max_rows=20)


def spec_of(model: Path, **fields: Any) -> PrepareSpec:
    return PrepareSpec(tokenizer=str(model), max_seqlen=32, sentences="lines", held_out=0.1, **fields)


def prospect(model: Path, folder: Path, **more: Any) -> InstanceProspect:
    arguments = {
        "spec": spec_of(model), "documents": str(folder / "corpus"), "output": str(folder / "out"), "slicing": TWENTY,
        "rates": Rates(tokens_per_second=33, cpu=36),
    }  # fmt: skip
    found = look_ahead("prepare", arguments | more)
    assert isinstance(found, InstanceProspect)
    return found


def shown(found: InstanceProspect) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(found.render())
    return console.export_text()


def test_a_sample_tells_what_the_run_makes(tiny_model: Path, tmp_path: Path) -> None:
    """A third of 1,500 documents of 33 tokens each, and a last shard with a fifth more of them."""
    for shard in range(3):
        texts = documents(500, 500 * shard)
        texts = [f"{text} {text[:40]}" for text in texts] if shard == 2 else texts
        write_shard(tmp_path / f"corpus/{shard}.parquet", 500, first=500 * shard, text=texts)
    found = prospect(tiny_model, tmp_path)
    assert not (tmp_path / "out").exists()
    expected = found.expected
    assert expected is not None
    assert found.sampled.num_documents == 512
    assert 0 < expected.tokens_error < 0.1
    report = prepare_in_turn(spec_of(tiny_model), tmp_path / "corpus", tmp_path / "out", slicing=TWENTY)
    made = report.instances
    assert made is not None
    assert expected.sentences == pytest.approx(made.sentences, rel=0.01)
    assert expected.sentence_tokens == pytest.approx(made.sentence_tokens, rel=0.03)
    assert expected.instances == pytest.approx(made.train, rel=0.08)
    assert expected.tokens == pytest.approx(made.train_tokens, rel=0.08)
    assert expected.held_out == pytest.approx(made.held_out, rel=0.5)
    assert expected.write_bytes == pytest.approx(report.write_bytes, rel=0.4)
    assert expected == prospect(tiny_model, tmp_path, output=str(tmp_path / "other")).expected


def test_time_and_cost_by_makers(tiny_model: Path, tmp_path: Path) -> None:
    """100 documents of 33 tokens at 33 a second: 100 s of one maker, of 36 an hour: 1.00."""
    write_shard(tmp_path / "corpus/a.parquet", 100, text=documents(100))
    text = shown(prospect(tiny_model, tmp_path))
    assert "prepare plan: 100 documents in 1 of 1 shard to do, 5 slices" in text
    assert re.search(r"^instances +\d+ +held out +\d+ +tokens +[\d,]+ *$", text, re.MULTILINE)
    assert "pace  33 tokens/s of sentences a maker: given" in text
    assert cells(text, "1") == ["1", "1:40", "1.00"]
    assert cells(text, "4") == ["4", "0:25", "1.00"]
    assert max(map(len, text.splitlines())) <= 80
    text = shown(prospect(tiny_model, tmp_path, cpu=TokenizePool(max_actors=2), rates=Rates(tokens_per_second=33)))
    assert cells(text, "2") == ["2", "0:50"]
    assert "measured here" in shown(prospect(tiny_model, tmp_path, rates=Rates()))


def test_from_the_command_line_without_ray(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(entry, "start_ray")  # whoever calls it fails
    for day in (23, 24):
        write_shard(tmp_path / f"corpus/date=2026-11-{day}/a.parquet", 30, text=documents(30, day))
    flags = ["--documents", str(tmp_path / "corpus"), "--output", str(tmp_path / "out"), "--spec.tokenizer",
             str(tiny_model), "--spec.sentences", "lines", "--spec.max_seqlen", "32", "--plan"]  # fmt: skip
    before = listing(tmp_path)
    assert entry.run(prepare, [*flags, "--since", "2026-11-24", "--limit", "20"]) == 0
    told = capsys.readouterr().out
    assert "prepare plan: 20 documents in 1 of 1 shard to do" in told
    assert "left for another run by --limit: 10 documents" in told
    assert entry.run(prepare, [*flags, "--since", "2026-11-25"]) == 0
    assert "prepare plan: nothing to do, of 0 shards" in capsys.readouterr().out
    assert listing(tmp_path) == before


def test_after_a_run_its_pace_is_known(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 20, text=documents(20))
    report = prepare_in_turn(
        spec_of(tiny_model), tmp_path / "corpus", tmp_path / "out", slicing=TWENTY, rates=Rates(cpu=36)
    )
    assert report.cost == {"gpu": 0.0, "cpu": pytest.approx(report.phase_seconds["prepare"] / 100)}  # by one maker
    write_shard(tmp_path / "corpus/b.parquet", 10, first=20, text=documents(10, 20))
    found = prospect(tiny_model, tmp_path, rates=Rates())
    assert found.pace is not None
    assert found.pace.source.startswith("run 20")
    text = shown(found)
    assert "prepare plan: 10 documents in 1 of 2 shards to do, 1 slice" in text
    assert "done already: 20 documents in 1 part" in text
