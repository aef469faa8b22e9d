"""Those who fill masks and score tokens, each in a process of its own: transformers as its users write it, and Manta.

The clock runs from the texts in memory to the scores in memory, the model being loaded and warm: how Parquet is read
and written is measured by ``benchmarks.embed``. Scores are natural logarithms of probabilities.

    python -m benchmarks.mask_peers --name plain --task fill_mask --documents F --model M --result R.npz
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jsonargparse
import numpy as np
import pyarrow.dataset as ds

TOP_K = 5
MAX_ROWS = 32
"""Texts, or masked copies of one text, that a peer runs at a time."""


class Contestant(Protocol):
    """A loaded model."""

    def fill_mask(self, texts: list[str]) -> np.ndarray:
        """float[M, 2, TOP_K] of M masks: the log-probabilities of the likeliest tokens, and their ids."""

    def pseudo_perplexity(self, texts: list[str]) -> np.ndarray:
        """float[T] of T tokens, special ones not counted: the log-probability of each when it is masked."""


class Plain:
    """``AutoModelForMaskedLM`` with its defaults: logits at all positions, then what is wanted of them."""

    def __init__(self, model: Path, dtype: str = "float32", rows: int = 1) -> None:
        import torch
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        torch.set_num_threads(os.cpu_count() or 1)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self.model: Any = AutoModelForMaskedLM.from_pretrained(model, dtype=dtype).eval()
        self.rows = rows

    def fill_mask(self, texts: list[str]) -> np.ndarray:
        """As pipeline("fill-mask") does it, so many texts a batch."""
        import torch

        found = []
        for start in range(0, len(texts), self.rows):
            some = texts[start : start + self.rows]
            batch = self.tokenizer(some, truncation=True, padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = self.model(**batch).logits
            masked = batch["input_ids"] == self.tokenizer.mask_token_id
            top = logits[masked].float().log_softmax(-1).topk(TOP_K)
            found.append(np.stack([top.values.numpy(), top.indices.numpy()], axis=1))
        return np.concatenate(found)

    def pseudo_perplexity(self, texts: list[str]) -> np.ndarray:
        """The usual recipe: a text's copies, each with another token masked, in batches of at most MAX_ROWS."""
        return np.concatenate([self._scores(text) for text in texts])

    def _scores(self, text: str) -> np.ndarray:
        import torch

        encoded = self.tokenizer(text, truncation=True, return_tensors="pt", return_special_tokens_mask=True)
        ids = encoded["input_ids"][0]
        places = (encoded["special_tokens_mask"][0] == 0).nonzero().flatten()
        copies = ids.repeat(len(places), 1)
        copies[torch.arange(len(places)), places] = self.tokenizer.mask_token_id
        scores = []
        for rows, at in zip(copies.split(MAX_ROWS), places.split(MAX_ROWS), strict=True):
            with torch.inference_mode():
                logits = self.model(rows).logits
            log_probs = logits[torch.arange(len(rows)), at].float().log_softmax(-1)
            scores.append(log_probs.gather(1, ids[at, None]).flatten().numpy())
        return np.concatenate(scores)


class Ours:
    """``pipelines.run.local.Predictor``, which is what an actor of ``jobs.predict`` does with a slice."""

    def __init__(self, model: Path, precision: Any) -> None:
        from pipelines.predict_spec import PredictSpec
        from pipelines.run.local import Predictor

        spec = partial(PredictSpec, model=str(model), precision=precision, top_k=TOP_K)
        self._fill = Predictor(spec(outputs=["fill_mask"]))
        self._score = Predictor(spec(outputs=["pseudo_perplexity"], token_log_probs=True))

    def fill_mask(self, texts: list[str]) -> np.ndarray:
        """All texts at once."""
        fillings = [filling for row in self._fill.predict(texts) for filling in row["fill_mask"]]
        return np.array([[filling["log_probs"], filling["ids"]] for filling in fillings])

    def pseudo_perplexity(self, texts: list[str]) -> np.ndarray:
        """All texts at once."""
        rows = self._score.predict(texts)
        return np.array([score for row in rows for score in row["token_log_probs"] if score is not None])


CONTESTANTS: dict[str, Callable[[Path], Contestant]] = {
    "plain": Plain,
    "batched": partial(Plain, rows=MAX_ROWS),
    "bfloat16": partial(Plain, dtype="bfloat16", rows=MAX_ROWS),
    "manta-float32": partial(Ours, precision="float32"),
    "manta": partial(Ours, precision="auto"),
}


def main(name: str, task: str, documents: Path, model: Path, result: Path) -> None:
    """Run one contestant; write its scores and its seconds.

    Args:
        name: One of plain, batched, bfloat16, manta-float32, manta.
        task: fill_mask or pseudo_perplexity.
        documents: Folder of Parquet files with a column text.
        model: Folder of a masked language model.
        result: File for arrays "scores" and "seconds".
    """
    texts = ds.dataset(documents).to_table(columns=["text"])["text"].to_pylist()
    run = getattr(CONTESTANTS[name](model), task)
    run(texts[:1])
    begin = time.perf_counter()
    scores = run(texts)
    np.savez(result, scores=scores, seconds=time.perf_counter() - begin)


if __name__ == "__main__":
    jsonargparse.auto_cli(main, as_positional=False)
