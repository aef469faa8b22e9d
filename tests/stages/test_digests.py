"""Digests of shards: equal for equal texts, whatever columns they are in; nobody's for what makes no instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.prepare_spec import PrepareSpec
from pipelines.spec import Slicing
from pipelines.stages.digests import content, digests_of, put_digests
from pipelines.stages.documents import columns_for
from pipelines.stages.read import Reading, Stretch
from pipelines.store.copies import digests_key, read_array
from pipelines.store.location import locate
from pipelines.store.shards import list_shards, read_footer
from pipelines.text.document_keys import document_keys
from tests.tiny import write_shard

NO_UTF8 = pa.array([b"caf\xe9", b"caf\xe9", b"ok", b"ok"], pa.binary()).view(pa.string())


def whole(folder: Path, spec: PrepareSpec, max_rows: int = 2, **columns: Any) -> tuple[Stretch, Reading]:
    """A shard of these columns, and how it is read, in slices of two rows."""
    write_shard(folder / "a.parquet", len(next(iter(columns.values()))), **columns)
    (shard,) = list_shards(str(folder))
    footer = read_footer(shard)
    slicing = Slicing(max_rows=max_rows)
    reading = Reading(columns=columns_for(spec, footer.schema), slicing=slicing, output_row_bytes=100)
    return Stretch(shard=shard, first_row=0, stop_row=footer.num_rows), reading


def first_equal(digests: np.ndarray) -> list[int]:
    """For each row the first of the same digest."""
    return [digests.tolist().index(one) for one in digests.tolist()]


def test_a_digest_is_that_of_the_text(tmp_path: Path) -> None:
    digests = digests_of(*whole(tmp_path, PrepareSpec(tokenizer="t"), text=["one", "two", "one", "one "]))
    assert digests.dtype == np.uint64
    assert digests.tolist() == document_keys(["one", "two", "one", "one "]).tolist()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a", None, "a", None], [0, 1, 0, 3]),
        (["", "", " \n", " \n"], [0, 1, 2, 3]),
        (NO_UTF8, [0, 1, 2, 2]),
    ],
)
def test_what_makes_no_instances_equals_nobodys(tmp_path: Path, texts: Any, expected: list[int]) -> None:
    assert first_equal(digests_of(*whole(tmp_path, PrepareSpec(tokenizer="t"), text=texts))) == expected


def test_rows_without_an_id_are_no_documents(tmp_path: Path) -> None:
    """Were one the first of copies, nothing would be left of its text."""
    shard = whole(tmp_path, PrepareSpec(tokenizer="t"), id=[None, 7, 8], text=["a", "a", "a"])
    assert first_equal(digests_of(*shard)) == [0, 1, 1]


def test_columns_are_compared_joined(tmp_path: Path) -> None:
    spec = PrepareSpec(tokenizer="t", text=["title", "text"], separator=" ")
    columns = {"title": ["a", "a b", None, "a"], "text": ["b c", "c", "a b c", "c"]}
    assert first_equal(digests_of(*whole(tmp_path, spec, **columns))) == [0, 0, 0, 3]


def test_lists_are_compared_sentence_by_sentence(tmp_path: Path) -> None:
    lists = [["a", "b"], ["ab"], ["a", "b"], ["a", None], ["a", None], [], [], [" "], ["b", "a"]]
    shard = whole(tmp_path, PrepareSpec(tokenizer="t", sentences="list"), text=lists)
    assert first_equal(digests_of(*shard)) == [0, 1, 0, 3, 4, 5, 6, 7, 8]


def test_a_list_is_spelled_so_that_no_other_one_is_spelled_alike() -> None:
    assert content(["a", "1:b"]) == "1:a3:1:b"
    assert content(["a1:b"]) == "4:a1:b"


def test_a_shard_that_breaks_has_what_was_read(tmp_path: Path) -> None:
    shard, reading = whole(tmp_path, PrepareSpec(tokenizer="t"), text=["a", "a", "a", "a"])
    longer = Stretch(shard=shard.shard, first_row=0, stop_row=6)  # as if its footer had said so
    assert first_equal(digests_of(longer, reading)) == [0, 0, 0, 0, 4, 5]


def test_each_shard_s_nobodys_are_its_own(tmp_path: Path) -> None:
    spec = PrepareSpec(tokenizer="t")
    one, two = (digests_of(*whole(tmp_path / name, spec, text=texts)) for name, texts in (("1", [""]), ("2", ["", ""])))
    assert len({*one.tolist(), *two.tolist()}) == 3


def test_published_again_they_are_the_same(tmp_path: Path) -> None:
    shard, reading = whole(tmp_path / "corpus", PrepareSpec(tokenizer="t"), text=["a", None, "b"])
    output = locate(str(tmp_path / "out"))
    put_digests([shard], reading, output)
    key = digests_key(shard.shard.shard_id)
    before = output.read(key)
    put_digests([shard], reading, output)
    assert output.read(key) == before
    assert read_array(output, key).tolist() == digests_of(shard, reading).tolist()
