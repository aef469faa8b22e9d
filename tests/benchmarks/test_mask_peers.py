"""The contestants say the same of the same texts: what is compared in speed is equal in what it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmarks import mask_peers
from benchmarks.mask_peers import CONTESTANTS, TOP_K
from tests.tiny import sentence

MASKED = ["the [MASK] of bread and [MASK]", "king", "[MASK] wind"]
TEXTS = [sentence(number, 4 + number) for number in range(3)]


@pytest.mark.parametrize(
    ("name", "error"), [("batched", 1e-4), ("manta-float32", 1e-4), ("bfloat16", 0.2), ("manta", 0.2)]
)
def test_all_give_the_scores_of_the_plain_loop(masked_model: Path, name: str, error: float) -> None:
    plain, other = CONTESTANTS["plain"](masked_model), CONTESTANTS[name](masked_model)
    fillings = plain.fill_mask(MASKED)
    assert fillings.shape == (3, 2, TOP_K)
    assert other.fill_mask(MASKED)[:, 0] == pytest.approx(fillings[:, 0], abs=error)
    scores = plain.pseudo_perplexity(TEXTS)
    assert len(scores) == 4 + 5 + 6
    assert other.pseudo_perplexity(TEXTS) == pytest.approx(scores, abs=error)


def test_the_plain_scores_are_those_of_one_mask_at_a_time(masked_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_peers, "MAX_ROWS", 2)
    plain = mask_peers.Plain(masked_model)
    ids = plain.tokenizer(TEXTS[0], return_tensors="pt")["input_ids"][0]
    expected = []
    for place in range(1, len(ids) - 1):
        masked = ids.clone()
        masked[place] = plain.tokenizer.mask_token_id
        with torch.inference_mode():
            expected.append(float(plain.model(masked[None]).logits[0, place].log_softmax(-1)[ids[place]]))
    assert plain.pseudo_perplexity(TEXTS[:1]) == pytest.approx(np.array(expected), abs=1e-5)


def test_scores_and_seconds_are_written(masked_model: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": MASKED}), tmp_path / "x.parquet")
    mask_peers.main("plain", "fill_mask", tmp_path / "x.parquet", masked_model, tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as found:
        assert found["scores"].shape == (3, 2, TOP_K)
        assert found["seconds"] > 0
