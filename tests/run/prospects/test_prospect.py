"""--plan: all of it told, and nothing written or started."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs import entry
from jobs.embed import embed
from jobs.predict import predict
from pipelines.errors import SpecError
from pipelines.run.order import Rates
from pipelines.run.prospects.prospect import Prospect, from_here, look_ahead
from pipelines.spec import EmbedSpec, EncodePool, Slicing
from tests.tiny import embed_in_turn, listing, sentence, write_shard

TEN = Slicing(max_rows=10)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 documents of 3 to 32 tokens, 17.5 on average: three shards, in the order of their lengths."""
    folder = tmp_path_factory.mktemp("prospect")
    for shard in range(3):
        texts = [sentence(number, 1 + number // 100) for number in range(1000 * shard, 1000 * shard + 1000)]
        write_shard(folder / f"corpus/{shard}.parquet", 1000, first=1000 * shard, text=texts)
    return folder


def prospect(model: Path, folder: Path, **more: Any) -> Prospect:
    arguments = {
        "spec": EmbedSpec(model=str(model), precision="float32"), "documents": str(folder / "corpus"),
        "output": str(folder / "vectors"), "slicing": TEN, "rates": Rates(tokens_per_second=100, gpu=36),
    }  # fmt: skip
    return look_ahead("embed", arguments | more)


def shown(found: Prospect) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(found.render())
    return console.export_text()


def test_a_sample_tells_a_corpus(tiny_model: Path, corpus: Path) -> None:
    """Thirty lengths, a hundred documents of each: 52,500 tokens, in 300 slices."""
    found = prospect(tiny_model, corpus)
    assert (found.expected.documents, found.expected.rows, found.expected.sampled) == (3000, 3000, 1024)
    assert found.expected.tokens == pytest.approx(52_500, rel=0.02)
    assert 0 < found.expected.tokens_error < 0.3
    assert found.found.plan.num_slices == 300
    assert prospect(tiny_model, corpus).expected == found.expected
    assert not (corpus / "vectors").exists()


def test_what_is_done_is_not_planned_again(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 20)
    spec = EmbedSpec(model=str(tiny_model), precision="float32")
    embed_in_turn(spec, tmp_path / "corpus", tmp_path / "vectors", slicing=TEN)
    assert "nothing to do, of 1 shard" in shown(prospect(tiny_model, tmp_path))
    write_shard(tmp_path / "corpus/b.parquet", 5, first=20)
    before = listing(tmp_path)
    found = prospect(tiny_model, tmp_path, rates=Rates())
    assert (found.expected.documents, found.expected.tokens) == (5, 45)
    assert found.pace is not None
    assert found.pace.source.startswith("run 20")
    text = shown(found)
    assert "embed plan: 5 documents in 1 of 2 shards to do, 1 slice" in text
    assert "done already: 20 documents in 2 parts" in text
    assert listing(tmp_path) == before


def test_from_the_command_line_without_ray(
    tiny_model: Path, corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(entry, "start_ray")  # whoever calls it fails
    flags = ["--plan", "--spec.model", str(tiny_model), "--documents", str(corpus / "corpus"), "--output",
             str(corpus / "vectors"), "--spec.precision", "float32", "--gpu.device", "cpu", "--gpu.num_threads", "1",
             "--limit", "600"]  # fmt: skip
    assert entry.run(embed, flags) == 0
    told = capsys.readouterr().out
    assert "embed plan: 600 documents in 1 of 3 shards to do" in told
    assert "left for another run by --limit: 2,400 documents" in told
    assert "measured here, on cpu in float32" in told
    assert entry.run(predict, [*flags, "--spec.outputs", "[embedding_mean]"]) == 0
    assert "predict plan: 600 documents" in capsys.readouterr().out
    assert not (corpus / "vectors").exists()


def test_what_cannot_be_planned_is_said(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="pretrain can't be planned"):
        look_ahead("pretrain", {})
    arguments = {"spec": EmbedSpec(model=str(tiny_model)), "documents": str(tmp_path / "none"), "output": "out"}
    assert str(from_here("embed", arguments)).startswith("no plan from here: ")
    assert entry.run(embed, ["--plan", "--spec.model", str(tiny_model), "--rates.gpu", "-1"]) == 2


def test_where_no_pace_is_known_the_flag_is_named(tiny_model: Path, corpus: Path) -> None:
    arguments = {
        "spec": EmbedSpec(model=str(tiny_model)), "documents": str(corpus / "corpus"), "output": str(corpus / "other"),
        "gpu": EncodePool(num_gpus=1),
    }  # fmt: skip
    found = look_ahead("embed", arguments, measuring=False)
    assert found.pace is None
    assert "give --rates.tokens_per_second" in shown(found)
    assert "packed" in shown(found)
