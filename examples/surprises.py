"""What ``jobs.predict`` found in the demo corpus: the least and the most surprising paragraphs, and words filled in.

A paragraph surprises where its words are hard to tell from each other: its pseudo-perplexity is high. Texts are not in
the predictions' files: they are looked up in the corpus by their ids, and the masks in them by the model's tokenizer.

    python -m examples.surprises
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
import pyarrow.dataset as ds
from tokenizers import Tokenizer

LEAST_SCORED = 20
"""Tokens of a paragraph that is long enough to be compared."""
LEAST_LETTERS = 4
"""Letters of a word that is worth telling: most guesses of shorter ones are right."""
CONTEXT = 60
"""Characters that are shown on each side of a word."""


@dataclass(frozen=True)
class Guess:
    """A word that was masked: where it stood, and what the model would put there, likeliest first."""

    about: str
    before: str
    word: str
    after: str
    tokens: list[str]
    probabilities: list[float]
    right: bool

    def __str__(self) -> str:
        told = ", ".join(
            f"{token} {share:.0%}" for token, share in zip(self.tokens[:3], self.probabilities, strict=False)
        )
        return f"{self.before}[{self.word}]{self.after}\n    {told}   ({self.about})"


def with_texts(predictions: Path, documents: Path) -> list[dict[str, Any]]:
    """The rows of an output, each with its text."""
    corpus = ds.dataset(documents).to_table(columns=["id", "text"]).to_pylist()
    texts = {row["id"]: row["text"] for row in corpus}
    return [row | {"text": texts[row["id"]]} for row in ds.dataset(predictions / "parts").to_table().to_pylist()]


def by_surprise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are long enough, least surprising first."""
    long = [row for row in rows if row["pseudo_perplexity"]["num_scored"] >= LEAST_SCORED]
    return sorted(long, key=lambda row: row["pseudo_perplexity"]["perplexity"])


def guesses(row: dict[str, Any], tokenizer: Tokenizer) -> list[Guess]:
    """A row's masked words, of those that are one token of letters."""
    encoding = tokenizer.encode(row["text"])
    words, found = encoding.word_ids, []
    for filling in row["fill_mask"]:
        place = filling["position"]
        start, stop = encoding.offsets[place]
        word = row["text"][start:stop]
        if words.count(words[place]) > 1 or not word.isalpha():
            continue
        found.append(
            Guess(
                about=f"{row['president']}, {row['year']}",
                before=shortened(row["text"][:start], -CONTEXT),
                word=word,
                after=shortened(row["text"][stop:], CONTEXT),
                tokens=filling["tokens"],
                probabilities=[math.exp(one) for one in filling["log_probs"]],
                right=filling["ids"][0] == encoding.ids[place],
            )
        )
    return found


def shortened(text: str, limit: int) -> str:
    """The beginning of a text, or its end where the limit is negative, on one line and cut between words."""
    text = text.replace("\n", " ")
    if len(text) <= abs(limit):
        return text
    if limit < 0:
        return f"... {text[limit:].partition(' ')[2]}"
    return f"{text[:limit].rpartition(' ')[0]} ..."


def surest(found: list[Guess], right: bool, count: int) -> list[Guess]:
    """The surest guesses of long words that were right, or wrong."""
    worth = [guess for guess in found if guess.right == right and len(guess.word) >= LEAST_LETTERS]
    return sorted(worth, key=lambda guess: -guess.probabilities[0])[:count]


def show(row: dict[str, Any]) -> str:
    """A paragraph for a terminal: how surprising, who, when, and the beginning of the text."""
    text = textwrap.shorten(row["text"], 250, placeholder=" ...")
    head = f"{row['pseudo_perplexity']['perplexity']:7.1f}  {row['president']}, {row['year']}  ({row['id']})"
    return f"{head}\n{textwrap.indent(textwrap.fill(text, 100), ' ' * 9)}"


def main(
    documents: Path = Path("build/sotu-few"),
    predictions: Path = Path("build/sotu-predictions"),
    model: Path = Path("build/sotu-bert"),
    count: int = 3,
) -> None:
    """Print what the predictions say.

    Args:
        documents: The corpus.
        predictions: What jobs.predict wrote.
        model: The model that it did that with.
        count: Number of paragraphs, and of words, of each kind.
    """
    rows = with_texts(predictions, documents)
    ranked = by_surprise(rows)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    found = [guess for row in rows for guess in guesses(row, tokenizer)]
    share = sum(guess.right for guess in found) / max(len(found), 1)
    print(f"Pseudo-perplexity of {len(ranked):,} paragraphs. Least surprising:", *map(show, ranked[:count]), sep="\n\n")
    print("\nMost surprising:", *map(show, ranked[: -count - 1 : -1]), sep="\n\n")
    print(f"\nOf {len(found):,} masked words {share:.0%} are guessed. The surest guesses of longer words, right ones:")
    print("", *surest(found, True, count), "and wrong ones:", *surest(found, False, count), "", sep="\n\n")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
