"""The tables of a prospect, with numbers that were worked out by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pipelines.run.order import Rates
from pipelines.run.prospects.prospect import Prospect, look_ahead
from pipelines.run.prospects.prospect_tables import outlooks
from pipelines.spec import EmbedSpec, EncodePool, Slicing, TokenizePool
from tests.run.prospects.test_prospect import shown
from tests.tiny import sentence, write_shard


def prospect(model: Path, folder: Path, **more: Any) -> Prospect:
    """20 documents of 9 tokens, 10 of 42, of which the model takes 32: 500 tokens in 6 slices."""
    texts = [sentence(number, 7 if number < 20 else 40) for number in range(30)]
    write_shard(folder / "corpus/a.parquet", 30, text=texts)
    (folder / "corpus/b.parquet").write_bytes(b"no Parquet")
    arguments = {
        "spec": EmbedSpec(model=str(model)), "documents": str(folder / "corpus"), "output": str(folder / "vectors"),
        "slicing": Slicing(max_rows=5), "cpu": TokenizePool(max_actors=3),
        "rates": Rates(tokens_per_second=5, gpu=36, cpu=12),
    }  # fmt: skip
    return look_ahead("embed", arguments | more)


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [first]]
    return line.split()


def test_lengths_time_and_cost(tiny_model: Path, tmp_path: Path) -> None:
    """By one encoder 100 s: 36 x 100 / 3600 = 1.00, and of three tokenizers 1.00; by four a quarter of that time."""
    text = shown(prospect(tiny_model, tmp_path))
    assert "embed plan: 30 documents in 1 of 2 shards to do, 6 slices" in text
    assert "b.parquet" in text
    assert cells(text, "1-16") == ["1-16", "█" * 24, "66.7%", "33.3%", "43.3%"]  # 10 x 26 of 600 tokens
    assert cells(text, "17-32") == ["17-32", "0.0%", "33.3%", "16.7%", "max_seqlen"]
    assert cells(text, "33-64") == ["33-64", "█" * 12, "33.3%", "0.0%", "0.0%"]
    assert re.search(r"^tokens +500 +rows +30 +to write", text, re.MULTILINE)
    assert cells(text, "1") == ["1", "3", "1:40", "1.00", "1.00", "2.00"]
    assert cells(text, "4") == ["4", "3", "0:25", "1.00", "0.25", "1.25"]
    assert max(map(len, text.splitlines())) <= 80


def test_actors_that_are_asked_for_and_tokenizers_to_feed_them(tiny_model: Path, tmp_path: Path) -> None:
    (one,) = outlooks(prospect(tiny_model, tmp_path, gpu=EncodePool(max_actors=2)))
    assert (one.encoders, one.tokenizers, one.seconds) == (2, 3, 50)
    found = prospect(tiny_model, tmp_path, cpu=TokenizePool(), rates=Rates(tokens_per_second=1e12))
    rate = found.sampled.tokenizer_tokens_per_second
    assert next(view.tokenizers for view in outlooks(found)) == -(-1e12 // rate)
