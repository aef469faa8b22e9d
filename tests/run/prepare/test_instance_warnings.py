"""Each warning names its cause, and comes where the cause is and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.prepare_spec import PrepareSpec
from pipelines.run.prepare.instance_warnings import instance_warnings
from tests.run.prepare.test_instance_counts import counts

GOOD = {
    "documents": 1000, "sentences": 40_000, "sentence_tokens": 200_000, "train": 9000, "held_out": 90,
    "train_labelled": 4500, "mean_length": 7.5,
}  # fmt: skip


def warned(spec: dict[str, Any] | None = None, **changes: object) -> list[str]:
    asked = PrepareSpec(**{"tokenizer": "t", "max_seqlen": 8, **(spec or {})})
    return instance_warnings(counts(**{**GOOD, **changes}), asked)


def test_all_is_well() -> None:
    assert warned() == []
    assert warned(one_sentence_documents=40, empty_documents=40, train_without_other=200) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"empty_documents": 60}, "60 of 1,000 documents are empty: check --spec.text"),
        ({"one_sentence_documents": 60}, "60 of 1,000 documents have but one; take whole texts"),
        (
            {"left_over_sentences": 4100},
            "4,100 sentences are in no pair, as documents end with them",
        ),
        (
            {"duplicates": 1},
            "1 of 1,000 documents have the text of an earlier one, and are kept: held-out texts may be",
        ),
        ({"sentence_tokens": 400_000}, "sentences have 10 tokens on average, more than max_seqlen (8)"),
        ({"mean_length": 3.0}, "instances have 3 of 8 tokens on average, as documents are short: lower"),
        ({"train_without_other": 2000, "train_labelled": 2700}, "so that 30 % are random, not half; give --slicing"),
        ({"held_out_without_other": 40}, "40 of 90 held-out pairs are honest that would have been random, as few"),
        ({"held_out": 0}, "nothing is held out, by chance, of 1,000 documents: raise --spec.held_out"),
        ({"train": 512}, "512 instances are 2.0 batches of 256, so that training sees each many times"),
    ],
)
def test_a_warning_names_its_cause(changes: dict[str, object], words: str) -> None:
    (line,) = warned(**changes)
    assert words in line


def test_a_vocabulary_may_be_too_large_for_its_corpus() -> None:
    trained = {"tokenizer": "", "train_tokenizer": "bpe", "vocab_size": 1000}
    assert warned(trained, train_tokens=100_000) == []
    (line,) = warned(trained, train_tokens=67_500)
    assert line.startswith("67,500 tokens are 68 for each of a vocabulary of 1,000")
    assert warned(train_tokens=67_500) == []  # the vocabulary was not chosen


def test_what_does_not_matter_to_the_spec_is_not_said() -> None:
    assert warned({"objective": "mlm"}, one_sentence_documents=900) == []
    assert warned({"held_out": 0.0}, held_out=0) == []
    assert warned({"duplicates": "drop"}, duplicates=900, dropped_documents=900) == []
    assert "held-out" not in warned({"held_out": 0.0}, held_out=0, duplicates=1)[0]
    assert "try sentencex" in warned({"sentences": "lines"}, sentence_tokens=400_000)[0]
    assert "cut the lists finer" in warned({"sentences": "list"}, sentence_tokens=400_000)[0]
