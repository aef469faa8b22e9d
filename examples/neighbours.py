"""The paragraphs nearest to a question, by the vectors that ``jobs.embed`` wrote of the demo corpus.

The question goes through the same encoder, without Ray; the vectors are compared one and all, which for some ten
thousand takes milliseconds. Texts are not in the vectors' files: they are looked up in the corpus by their ids.

    python -m examples.neighbours "What do we owe to soldiers who came home from the war?"
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import yaml

from pipelines.run.local import Encoder
from pipelines.schema import vectors_to_numpy
from pipelines.spec import EmbedSpec


def nearest(query: np.ndarray, vectors: np.ndarray, num_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the vectors with the largest cosine to the query, best first, and their cosines.

    ``query`` is float[dim], ``vectors`` float[n, dim], none of them zero.
    """
    cosines = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    rows = np.argsort(-cosines, kind="stable")[:num_neighbours]
    return rows, cosines[rows]


def neighbours(question: str, job: dict[str, Any], num_neighbours: int) -> list[dict[str, Any]]:
    """The nearest documents as rows with id, year, president, cosine and text, best first."""
    table = ds.dataset(f"{job['output']}/parts").to_table(columns=["id", "year", "president", "embedding"])
    query = Encoder(EmbedSpec(**job["spec"])).encode_query([question])[0]
    rows, cosines = nearest(query, vectors_to_numpy(table["embedding"]), num_neighbours)
    found = table.drop_columns("embedding").take(pa.array(rows)).to_pylist()
    texts = _texts(job["documents"], [row["id"] for row in found])
    return [row | {"cosine": float(c), "text": texts[row["id"]]} for row, c in zip(found, cosines, strict=True)]


def _texts(documents: str, ids: list[str]) -> dict[str, str]:
    table = ds.dataset(documents).to_table(columns=["id", "text"], filter=ds.field("id").isin(ids))
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


def show(row: dict[str, Any]) -> str:
    """One neighbour for a terminal: who, when, how near, and the beginning of the text."""
    text = textwrap.shorten(row["text"], 420, placeholder=" ...")
    head = f"{row['cosine']:.3f}  {row['president']}, {row['year']}  ({row['id']})"
    return f"{head}\n{textwrap.indent(textwrap.fill(text, 100), ' ' * 7)}"


def main(question: str, job: Path = Path("examples/embed-sotu.yaml"), num_neighbours: int = 3) -> None:
    """Print the paragraphs nearest to a question.

    Args:
        question: What is looked for.
        job: Config of the job that wrote the vectors.
        num_neighbours: Number of paragraphs.
    """
    found = neighbours(question, yaml.safe_load(job.read_text()), num_neighbours)
    print(f"Nearest to {question!r}:", *(show(row) for row in found), sep="\n\n")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
