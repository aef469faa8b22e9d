"""The text that is measured on: the demo corpus, thinned out or repeated to a size, and its tokens counted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from tokenizers import Tokenizer


def thin(documents: Path, output: Path, num_rows: int, num_shards: int = 2) -> pa.Table:
    """Write ``num_rows`` documents of a corpus (0: all), evenly spaced, so that their lengths are the corpus's."""
    table = ds.dataset(documents).to_table(columns=["id", "text"])
    count = min(num_rows or table.num_rows, table.num_rows)
    table = table.take(pa.array(np.linspace(0, table.num_rows - 1, count).astype(np.int64)))
    _write(table, output, num_shards)
    return table


def repeat(documents: Path, output: Path, num_bytes: int) -> pa.Table:
    """Write a corpus again and again, with new ids and as a new shard each time, until it has ``num_bytes`` of text."""
    table = ds.dataset(documents).to_table(columns=["id", "text"])
    num_times = max(1, round(num_bytes / pc.sum(pc.binary_length(table["text"])).as_py()))
    times = [_renamed(table, f"-{number}") for number in range(num_times)]
    _write(pa.concat_tables(times), output, num_times)
    return pa.concat_tables(times)


def _renamed(table: pa.Table, suffix: str) -> pa.Table:
    return table.set_column(0, "id", pc.binary_join_element_wise(table["id"], suffix, ""))


def _write(table: pa.Table, output: Path, num_shards: int) -> None:
    output.mkdir(parents=True, exist_ok=True)
    cuts = np.linspace(0, table.num_rows, num_shards + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(cuts.tolist())):
        pq.write_table(table.slice(start, stop - start), output / f"{number:03d}.parquet")


def num_tokens(texts: list[str], model: Path, max_seqlen: int) -> int:
    """Tokens that a network has to compute, special tokens included, padding not: one count for every contestant."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_seqlen)
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts))
