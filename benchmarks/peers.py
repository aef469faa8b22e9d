"""The peers, each in a process of its own: Parquet text in, Parquet vectors out, as their users would write it.

The clock starts once the model is loaded, and stops when the last file is written. Every peer counts the tokens that
its network computes, padding included, in the same place: before the transformer's forward pass.

    python -m benchmarks.peers --name st-bfloat16 --documents F --output O --model M --result R.json
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Outcome:
    """What one run of a contestant came to."""

    seconds: float
    """From the first read to the last write, the model being ready."""
    num_computed_tokens: int
    """Tokens that went through the network, padding included."""
    waiting: float = float("nan")
    """Share of the seconds in which the network waited for input; NaN where it does not tell."""


@dataclass(frozen=True)
class Job:
    """Corpus, output and model, all of them folders."""

    documents: Path
    output: Path
    model: Path


class CountedModel:
    """A SentenceTransformer that counts the tokens it computes."""

    def __init__(self, model: Path, dtype: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(os.cpu_count() or 1)
        options = {} if dtype == "float32" else {"model_kwargs": {"dtype": dtype}}
        self.model: Any = SentenceTransformer(str(model), **options)
        self.num_computed_tokens = 0
        self.model[0].register_forward_pre_hook(self._count)

    def encode(self, texts: list[str]) -> np.ndarray:
        """float32[n, dim], by ``encode`` with its own defaults."""
        return np.asarray(self.model.encode(texts, show_progress_bar=False), np.float32)

    def _count(self, _module: Any, arguments: tuple[Any, ...]) -> None:
        self.num_computed_tokens += arguments[0]["input_ids"].numel()


def sentence_transformers(job: Job, dtype: str) -> Outcome:
    """``encode`` over the whole corpus at once, so that it can sort all of it by length."""
    model = CountedModel(job.model, dtype)
    begin = time.perf_counter()
    table = ds.dataset(job.documents).to_table(columns=["id", "text"])
    vectors = model.encode(table["text"].to_pylist())
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    pq.write_table(pa.table({"id": table["id"], "embedding": embedding}), job.output / "vectors.parquet")
    return Outcome(time.perf_counter() - begin, model.num_computed_tokens)


class RayEmbedder:
    """The class that Ray Data's own examples show: a model made once, a batch of columns in, a batch out."""

    def __init__(self, model: Path, log: Path) -> None:
        self.model = CountedModel(model, "float32")
        self.log, self.ready = log, time.time()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Columns id and embedding, from columns id and text."""
        vectors = self.model.encode(batch["text"].tolist())
        self.log.write_text(json.dumps([self.ready, self.model.num_computed_tokens]))
        return {"id": batch["id"], "embedding": vectors}


def ray_data(job: Job) -> Outcome:
    """A plain map_batches around ``encode``: one actor that has all cores, 256 rows a batch."""
    import ray

    log = job.output.with_suffix(".counted").absolute()
    ray.init(address="local", num_cpus=max(4, os.cpu_count() or 1), include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    actor = {"compute": ray.data.ActorPoolStrategy(size=1), "fn_constructor_args": (job.model, log)}
    rows = ray.data.read_parquet(str(job.documents.absolute())).select_columns(["id", "text"])
    rows.map_batches(RayEmbedder, batch_size=256, num_cpus=1, **actor).write_parquet(str(job.output.absolute()))
    end = time.time()
    ready, num_computed_tokens = json.loads(log.read_text())
    return Outcome(end - ready, num_computed_tokens)


PEERS: dict[str, Callable[[Job], Outcome]] = {
    "st-float32": lambda job: sentence_transformers(job, "float32"),
    "st-bfloat16": lambda job: sentence_transformers(job, "bfloat16"),
    "ray-data-st": ray_data,
}


def main(name: str, documents: Path, output: Path, model: Path, result: Path) -> None:
    """Run one peer and write its outcome as JSON.

    Args:
        name: One of st-float32, st-bfloat16, ray-data-st.
        documents: Folder of Parquet files with columns id and text.
        output: Folder for the vectors.
        model: Folder of a sentence-transformers model.
        result: File for the outcome.
    """
    output.mkdir(parents=True, exist_ok=True)
    outcome = PEERS[name](Job(documents, output, model))
    result.write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    jsonargparse.auto_cli(main, as_positional=False)
