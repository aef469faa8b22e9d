"""Sentences by hand; their pairs as tokens and as Arrow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.model.folder import read_folder, resolve
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
from pipelines.stages.sentences import pairs_from_arrow, pairs_to_arrow, sentence_pairs, sentence_spans

TEXTS = ["The king spoke.  War came! Then peace?", "No end", "", "A ship. A mill.\n\n\ud800 stone."]


def sentences(text: str, language: str = "en") -> list[str]:
    return [text[start:stop] for start, stop in sentence_spans(text, language)]


def test_a_long_text_is_cut_as_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    prose = "The king spoke at 3.30 p.m. War came!\n\nThen peace? " * 40 + "no end " * 90 + "It ended.  \n"
    chinese = "東京の天気。大阪。" * 50
    whole = [sentence_spans(text, "en") for text in (prose, chinese)]
    assert [len(spans) for spans in whole] == [121, 100]
    for window in (20, 64, 500):
        monkeypatch.setattr("pipelines.stages.sentences.WINDOW", window)
        assert [sentence_spans(text, "en") for text in (prose, chinese)] == whole


def test_sentences_by_hand() -> None:
    assert sentences(TEXTS[0]) == ["The king spoke.", "War came!", "Then peace?"]
    assert sentences("Mr. Smith met Dr. Jones at 3.30 p.m. They spoke of the U.S. Navy.") == [
        "Mr. Smith met Dr. Jones at 3.30 p.m.", "They spoke of the U.S. Navy.",
    ]  # fmt: skip
    assert sentences(TEXTS[3]) == ["A ship.", "A mill.", "\ud800 stone."]
    assert sentences("🙂 é. 東京。大阪。", "ja")[-1] == "大阪。"
    assert (sentences(""), sentences(" \n\n ")) == ([], [])


def test_each_sentence_stands_before_the_next(tiny_model: Path) -> None:
    folder = read_folder(tiny_model)
    tokenizer = DocumentTokenizer(folder, resolve(PredictSpec(model="m", outputs=["next_sentence"]), folder))
    pairs = sentence_pairs(TEXTS, "en", tokenizer)
    assert pairs.counts.tolist() == [2, 0, 0, 2]
    seconds = [
        TEXTS[row][start:stop] for row, start, stop in zip([0, 0, 3, 3], pairs.char_start, pairs.char_end, strict=True)
    ]
    assert seconds == ["War came!", "Then peace?", "A mill.", "\ud800 stone."]
    decoded = [
        (tokenizer.decode(row[:start].tolist()), tokenizer.decode(row[start:].tolist()))
        for row, start in zip(np.split(pairs.values, pairs.offsets[1:-1]), pairs.segment_b_start, strict=True)
    ]
    alone = [tokenizer.decode(tokenizer.tokenize([one]).values.tolist()) for one in ("The king spoke.", "War came!")]
    assert decoded[0] == tuple(alone)
    column = pa.chunked_array([pairs_to_arrow(pairs)])
    assert len(column) == 4
    for name, value in vars(pairs_from_arrow(column)).items():
        np.testing.assert_array_equal(value, getattr(pairs, name))
    part = pairs_from_arrow(column.slice(3, 1))
    assert part.counts.tolist() == [2]
    np.testing.assert_array_equal(part.values, pairs.values[pairs.offsets[2] :])
    assert part.offsets.tolist() == (pairs.offsets[2:] - pairs.offsets[2]).tolist()


def test_no_sentences(tiny_model: Path) -> None:
    folder = read_folder(tiny_model)
    tokenizer = DocumentTokenizer(folder, resolve(PredictSpec(model="m", outputs=["next_sentence"]), folder))
    for texts in ([], ["one"]):
        pairs = sentence_pairs(texts, "en", tokenizer)
        assert (pairs.counts.tolist(), len(pairs.values), pairs.char_end.tolist()) == ([0] * len(texts), 0, [])
        assert len(pairs_from_arrow(pa.chunked_array([pairs_to_arrow(pairs)])).counts) == len(texts)
