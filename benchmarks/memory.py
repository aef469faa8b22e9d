"""Does memory stay flat as the corpus grows? The demo corpus at two sizes, and what each process took.

The network is a tiny random one with the real tokenizer, so that 300 MB of text take minutes on two cores: what is
looked at here is what grows with the corpus (plans, slices in flight, listings, the driver), and the network does not.

    python -m benchmarks.memory --megabytes '[12, 300]'
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import jsonargparse

from benchmarks import corpus
from benchmarks.contest import publish, when_and_where
from benchmarks.embed import model_folder
from benchmarks.machine import table
from benchmarks.watch import Watched, watch

WIDTH = 32

PAGE = """\
# Memory while embedding, by process

    {command}

{measured}

The demo corpus, repeated with new ids up to the sizes in the heads of the columns, embedded by a random network of one
layer, {width} wide, with all-MiniLM-L6-v2's tokenizer. Megabytes at their peak, sampled twice a second: private memory
(USS) of the largest process of each role and the number of its processes, then all processes together at one moment,
then what the object store held.

{table}
"""


def tiny_model(folder: Path) -> Path:
    """A model folder like the demo's, its network replaced by one layer of random weights."""
    import torch
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    shutil.copytree(model_folder(), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 2 * WIDTH}
    BertModel(BertConfig(vocab_size=30522, max_position_embeddings=512, **sizes)).save_pretrained(folder)
    pooling = folder / "1_Pooling/config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"word_embedding_dimension": WIDTH}))
    return folder


def embed(documents: Path, num_megabytes: int, folder: Path, model: Path) -> Watched:
    """Embed a corpus of so much text, and watch it."""
    text, output = folder / f"text-{num_megabytes}", folder / f"vectors-{num_megabytes}"
    for made in (text, output):
        shutil.rmtree(made, ignore_errors=True)
    corpus.repeat(documents, text, num_megabytes * 10**6)
    job = ["--documents", str(text), "--output", str(output), "--spec.model", str(model)]
    return watch([sys.executable, "-m", "jobs.embed", *job], output, folder / f"{num_megabytes}.log")


def compare(found: dict[int, Watched]) -> str:
    """A row a role and a column a size, in megabytes; for each role its largest process and their number."""
    roles = sorted({role for watched in found.values() for role in watched.by_role()})
    rows = [[role, *(_largest(watched.by_role().get(role, [])) for watched in found.values())] for role in roles]
    rows += [
        ["all processes", *(_megabytes(watched.total_private_bytes) for watched in found.values())],
        ["object store", *(_megabytes(watched.object_store_bytes) for watched in found.values())],
        ["seconds", *(f"{watched.seconds:.0f}" for watched in found.values())],
    ]
    return table(["", *(f"{size} MB" for size in found)], rows)


def _largest(sizes: list[int]) -> str:
    return f"{_megabytes(sizes[0])} ({len(sizes)})" if sizes else "none"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}"


def main(
    documents: Path = Path("build/sotu"),
    megabytes: tuple[int, ...] = (12, 300),
    results: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print the table, and write it.

    Args:
        documents: The demo corpus.
        megabytes: Sizes of the text.
        results: Folder for the file of results.
    """
    folder = Path("build/memory")
    model = tiny_model(folder / "model")
    found = {size: embed(documents, size, folder, model) for size in megabytes}
    page = PAGE.format(command="make memory", measured=when_and_where(), width=WIDTH, table=compare(found))
    publish(page, "memory", results)


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
