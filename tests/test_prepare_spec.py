"""What instances are asked with: refused at birth in one line, fingerprinted by what decides them alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.fingerprint import canonical, fingerprint
from pipelines.instances import INSTANCES
from pipelines.prepare_spec import PrepareSpec


def spec(**fields: Any) -> PrepareSpec:
    return PrepareSpec(**{"tokenizer": "t", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tokenizer": ""}, "tokenizer is '': name a folder .* or set train_tokenizer"),
        ({"train_tokenizer": "bpe", "vocab_size": 7}, "vocab_size is 7"),
        ({"train_tokenizer": "bpe", "tokenizer_documents": 0}, "tokenizer_documents is 0"),
        ({"text": ""}, "name one text column"),
        ({"id": "input_ids"}, "are columns of the output"),
        ({"passthrough": ["_held_out"]}, "are columns of the output"),
        ({"max_seqlen": 7}, "max_seqlen is 7: write a number of at least 8"),
        ({"seed": -1}, "seed is -1"),
        ({"short_probability": 1.5}, "short_probability is 1.5"),
        ({"held_out": 1.0}, "held_out is 1.0: write a share from 0 to below 1"),
        ({"sentences": "list", "text": ["a", "b"]}, "one column where it holds lists"),
        ({"group": "id"}, "group is 'id': name a column of its own"),
        ({"group": "text"}, "group is 'text'"),
        ({"weights": {"wiki/*": -1}}, "globs and numbers of at least 0"),
        ({"weights": {"": 1}}, "globs and numbers"),
    ],
)
def test_instances_that_make_no_sense_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        spec(**fields)


def test_the_contracts_columns_are_reserved() -> None:
    assert set(INSTANCES.names) < spec().reserved


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"tokenizer": "elsewhere"}, True),  # its hash counts
        ({"sentences": "lines", "language": "de"}, None),
        ({"language": "de"}, False),
        ({"objective": "mlm"}, False),
        ({"seed": 1}, False),
        ({"vocab_size": 100}, True),  # of a tokenizer that is not trained
        ({"train_tokenizer": "bpe"}, False),
        ({"held_out": 0.02}, False),
        ({"group": "patient"}, False),
        ({"weights": {"a/*": 2}}, False),
    ],
)
def test_what_decides_is_fingerprinted(fields: dict[str, Any], same: bool | None) -> None:
    with_fields = fingerprint(spec(**fields), "hash")
    if same is None:  # the language decides nothing where lines are taken
        assert with_fields == fingerprint(spec(sentences="lines"), "hash")
    else:
        assert (with_fields == fingerprint(spec(), "hash")) is same
    assert fingerprint(spec(), "other hash") != fingerprint(spec(), "hash")


def test_short_pairs_matter_to_pairs_alone() -> None:
    assert "short_probability" in canonical(spec())
    assert "short_probability" not in canonical(spec(objective="mlm"))
    assert "whole_sentences" in canonical(spec(objective="mlm"))
    assert "whole_sentences" not in canonical(spec())
    assert spec(objective="mlm+sop").is_paired
    assert not spec(objective="mlm").is_paired


def test_a_weight_is_a_number_however_it_is_written() -> None:
    assert fingerprint(spec(weights={"a/*": 2}), "h") == fingerprint(spec(weights={"a/*": 2.0}), "h")


def test_the_longest_glob_that_fits_counts() -> None:
    mixed = spec(weights={"wiki/*": 2, "wiki/de/*": 0.5, "*.parquet": 3})
    assert mixed.weight("wiki/en/0.parquet") == 3  # "*.parquet" is longer than "wiki/*"
    assert mixed.weight("wiki/de/0.parquet") == 0.5
    assert spec(weights={"wiki/*": 2}).weight("books/0.parquet") == 1


def test_a_glob_that_fits_no_shard_is_refused() -> None:
    mixed = spec(weights={"wiki/*": 2, "boks/*": 0.5})
    with pytest.raises(SpecError, match=r"no shard fits 'boks/\*' \(the first is books/0.parquet\)"):
        mixed.check_shards(["books/0.parquet", "wiki/0.parquet"])
    mixed.check_shards(["boks/0.parquet", "wiki/0.parquet"])
