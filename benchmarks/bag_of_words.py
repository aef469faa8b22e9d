"""A bag of words on the split of a fine-tuning: what a classifier of texts is to be held against.

A logistic regression on TF-IDF of words and of pairs of words (scikit-learn), from the examples that ``jobs.finetune``
trains on, evaluated on those that it holds out.

    python -m benchmarks.bag_of_words --data build/mails --eval_share 0.2
"""

from __future__ import annotations

from pathlib import Path

import jsonargparse
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from pipelines.text.document_keys import document_keys
from pipelines.text.ragged import Ragged
from pipelines.text.split import split_by_id


def accuracy(train: pa.Table, held_out: pa.Table) -> float:
    """Of texts with labels, from others."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit(train["text"].to_pylist(), train["label"].to_pylist())
    return float(model.score(held_out["text"].to_pylist(), held_out["label"].to_pylist()))


def split(rows: pa.Table, share: float, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """Examples to learn from, and those held out whose text is none of theirs."""
    labels = sorted(set(rows["label"].to_pylist()))
    classes = Ragged(np.array([labels.index(one) for one in rows["label"].to_pylist()]), np.arange(rows.num_rows + 1))
    keys = document_keys(rows["id"].to_pylist())
    made = split_by_id(keys, classes, len(labels), share=share, seed=seed)
    held = pa.array(made.is_held_out(keys, made.strata(classes)))
    train = rows.filter(pc.invert(held))
    known = pc.is_in(rows["text"], value_set=train["text"])
    return train, rows.filter(pc.and_not(held, known))


def main(data: Path, eval_share: float, split_seed: int = 0) -> None:
    """Print the accuracy.

    Args:
        data: Parquet with the columns id, text and label.
        eval_share: As the fine-tuning's spec has it.
        split_seed: The same.
    """
    train, held_out = split(ds.dataset(data).to_table(columns=["id", "text", "label"]), eval_share, split_seed)
    found = accuracy(train, held_out)
    print(f"{data}: {train.num_rows:,} to learn from, {held_out.num_rows:,} held out: accuracy {found:.4f}")


if __name__ == "__main__":
    jsonargparse.auto_cli(main, as_positional=False)
