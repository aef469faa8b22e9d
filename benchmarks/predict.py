"""Filling masks and pseudo-perplexities: Manta beside a plain transformers loop, on the same text with the same model.

Each contestant runs in a process of its own, in rounds of alternating order (``benchmarks.contest``). The model is the
demo's, which ``make pretrain`` makes. For filling, every twelfth word of a text is replaced by the mask first, so
that all read the same.

    python -m benchmarks.predict --rows 256 --scored_rows 24 --rounds 3
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import jsonargparse
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import corpus
from benchmarks.contest import every_round, in_turn, publish, ratio, when_and_where
from benchmarks.machine import table
from benchmarks.mask_peers import MAX_ROWS
from benchmarks.watch import watch

MASK_EVERY = 12
MAX_SEQLEN = 128
BASELINE = "plain"
CONTESTANTS = {
    "fill_mask": ["plain", "batched", "bfloat16", "manta-float32", "manta"],
    "pseudo_perplexity": ["plain", "bfloat16", "manta-float32", "manta"],
}
NAMES = {
    "plain": "transformers",
    "batched": f"transformers, {MAX_ROWS} texts a batch",
    "bfloat16": "the same, bfloat16",
    "manta-float32": "Manta, float32",
    "manta": "Manta",
}

PAGE = """\
# Filling masks and pseudo-perplexity, texts to scores

    {command}

{measured} The machine is shared with other work.

The demo's model ({model}), texts cut at {max_seqlen} tokens, all cores. Medians of {rounds} rounds, in alternating
order; ratios are paired by round. Each contestant runs in a process of its own; the clock runs from texts in memory to
scores in memory, the model being loaded and warm. "Error" is the largest difference of any log-probability to the first
contestant's, and its mean; "private" the process's memory (USS) at its peak.

- transformers: `AutoModelForMaskedLM` and its tokenizer with their defaults (float32, sdpa), logits at all positions.
  Masks are filled one text at a time, as `pipeline("fill-mask")` does; for a pseudo-perplexity a text's masked copies
  are run {max_rows} at a time.
- Manta: `pipelines.run.local.Predictor` with all texts, which is what an actor of `jobs.predict` does with a slice. Its
  default precision is bfloat16 where the processor is faster in it; the head stays in float32.
"""


@dataclass(frozen=True)
class Ran:
    """One run of one contestant."""

    seconds: float
    scores: np.ndarray
    """As ``benchmarks.mask_peers.Contestant`` says."""
    private_bytes: int


def with_masks(text: str, every: int = MASK_EVERY) -> str:
    """A text with every so-manieth of its words, as blanks part them, replaced by [MASK]."""
    words = text.split()
    words[every - 1 :: every] = ["[MASK]"] * len(words[every - 1 :: every])
    return " ".join(words)


def prepare(task: str, documents: Path, folder: Path, num_rows: int) -> list[str]:
    """The texts of a task, written as one Parquet file into the folder."""
    texts = corpus.thin(documents, folder, num_rows, num_shards=1)["text"].to_pylist()
    if task == "fill_mask":
        texts = [with_masks(text) for text in texts]
        pq.write_table(pa.table({"text": texts}), folder / "000.parquet")
    return texts


def run(name: str, task: str, documents: Path, model: Path, folder: Path) -> Ran:
    """Run one contestant in a process of its own."""
    result, log = folder / f"{task}-{name}.npz", folder / f"{task}-{name}.log"
    asked = {"name": name, "task": task, "documents": documents, "model": model, "result": result}
    flags = [word for flag, value in asked.items() for word in (f"--{flag}", str(value))]
    watched = watch([sys.executable, "-m", "benchmarks.mask_peers", *flags], folder / "no-output", log)
    with np.load(result) as found:
        return Ran(float(found["seconds"]), found["scores"], watched.total_private_bytes)


def errors(scores: np.ndarray, baseline: np.ndarray) -> tuple[float, float]:
    """Largest and mean difference of log-probabilities. Of fillings the k-th likeliest is compared with the k-th."""
    if len(scores) != len(baseline):
        raise ValueError(
            f"{len(scores)} scores stand beside {len(baseline)}: the contestants did not read the same tokens"
        )
    differences = np.abs(scores - baseline)
    differences = differences[:, 0] if scores.ndim == 3 else differences
    return float(differences.max()), float(differences.mean())


def compare(played: list[dict[str, Ran]], num_rows: int) -> str:
    """The table of a task: medians over the rounds."""
    head = ["", "documents/s", *(f"x {NAMES[name]}" for name in played[0] if not name.startswith("manta"))]
    head += ["error", "mean error", "same first", "private MB"]
    return table(head, [_line(name, played, num_rows) for name in played[0]])


def _line(name: str, played: list[dict[str, Ran]], num_rows: int) -> list[str]:
    peers = [peer for peer in played[0] if not peer.startswith("manta")]
    speed = num_rows / statistics.median(ran[name].seconds for ran in played)
    found = [errors(ran[name].scores, ran[BASELINE].scores) for ran in played]
    ratios = [ratio(seconds_of(played), name, peer) for peer in peers]
    private = statistics.median(ran[name].private_bytes for ran in played) / 1e6
    worst, mean = (max(values) for values in zip(*found, strict=True))
    same = min(same_first(ran[name].scores, ran[BASELINE].scores) for ran in played)
    told = [f"{worst:.1e}", f"{mean:.1e}", "-" if np.isnan(same) else f"{same:.1%}", f"{private:,.0f}"]
    return [NAMES[name], f"{speed:,.2f}", *(f"{one:.2f}" for one in ratios), *told]


def same_first(scores: np.ndarray, baseline: np.ndarray) -> float:
    """Share of the masks whose likeliest token is the same; NaN where none are filled."""
    return float((scores[:, 1, 0] == baseline[:, 1, 0]).mean()) if scores.ndim == 3 else float("nan")


def seconds_of(played: list[dict[str, Ran]]) -> list[dict[str, float]]:
    """Of each round the seconds of each contestant."""
    return [{name: ran.seconds for name, ran in this.items()} for this in played]


def section(task: str, num_rows: int, rounds: int, documents: Path, model: Path, folder: Path) -> str:
    """Play all rounds of a task, and tell of them."""
    text = folder / task
    texts = prepare(task, documents, text, num_rows)
    num_tokens = corpus.num_tokens(texts, model, MAX_SEQLEN)
    names = CONTESTANTS[task]
    played = list(in_turn(names, rounds, lambda name: run(name, task, text, model, folder), NAMES))
    num_scores = len(played[0][BASELINE].scores)
    counted = "masks" if task == "fill_mask" else "tokens scored"
    head = f"## {task}\n\n{len(texts):,} paragraphs, {num_tokens:,} tokens, {num_scores:,} {counted}."
    by_round = every_round("documents/s", len(texts), seconds_of(played), NAMES)
    return f"{head}\n\n{compare(played, len(texts))}\n\n{by_round}\n"


def main(
    documents: Path = Path("build/sotu"),
    model: Path = Path("build/sotu-bert"),
    rows: int = 256,
    scored_rows: int = 24,
    rounds: int = 3,
    results: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print the tables, and write them with everything needed to measure again.

    Args:
        documents: The demo corpus.
        model: The demo's masked language model.
        rows: Number of paragraphs in which masks are filled.
        scored_rows: Number of paragraphs whose pseudo-perplexity is told: each takes as many passes as it has tokens.
        rounds: How often each contestant runs.
        results: Folder for the file of results.
    """
    folder = Path("build/bench-predict")
    num_rows = {"fill_mask": rows, "pseudo_perplexity": scored_rows}
    told = [section(task, num_rows[task], rounds, documents, model, folder) for task in CONTESTANTS]
    page = PAGE.format(
        command=f"make bench-predict ROWS={rows} SCORED_ROWS={scored_rows} ROUNDS={rounds}",
        measured=when_and_where(), model=model, max_seqlen=MAX_SEQLEN, rounds=rounds, max_rows=MAX_ROWS,
    )  # fmt: skip
    publish("\n".join([page, *told]), "predict", results)


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
