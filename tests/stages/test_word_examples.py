from __future__ import annotations

import pyarrow as pa

from pipelines.schema import SliceHeader, fold, unfold
from pipelines.stages.documents import TARGET, TEXT
from pipelines.stages.examples import ExampleMaker
from pipelines.stages.slicewise import ROW
from tests.stages.makers import IRON, A, B, C, D, made, recipe

FIELDS = {"text": "words", "label": "tags", "labels": ["O", "B-X", "I-X"]}


def test_the_first_token_of_a_word_has_its_tag() -> None:
    table = pa.table({"id": [1, 2], "words": [["Unaffable", "iron"], ["a"]], "tags": [["B-X", "I-X"], ["O"]]})
    assert made(table, "token_classification", **FIELDS) == [
        {
            "id": 1,
            "input_ids": [101, 14477, 20961, 3468, IRON, 102],
            "segment_b_start": 0,
            "token_labels": [-100, 1, -100, -100, 2, -100],
        },
        {"id": 2, "input_ids": [101, A, 102], "segment_b_start": 0, "token_labels": [-100, 0, -100]},
    ]


def test_words_beyond_the_end_are_cut_and_counted() -> None:
    words = [["a", "b", "c", "d", "a", "unaffable", "b"], ["a", "\u200b"]]
    columns = {ROW: [0, 1], "id": [1, 2], TEXT: words, f"{TARGET}tags": [["O"] * 7, ["O", "B-X"]]}
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=2)
    table, told = unfold(ExampleMaker(recipe("token_classification", **FIELDS))(fold(pa.table(columns), header)))
    assert table["input_ids"].to_pylist() == [[101, A, B, C, D, A, 14477, 102], [101, A, 102]]
    assert table["token_labels"].to_pylist() == [[-100, *[0] * 6, -100], [-100, 0, -100]]
    stats = {name: told.stats[f"examples.{name}"] for name in ("words", "untold_words")}
    assert (stats, told.stats["truncated"]) == ({"words": 9, "untold_words": 2}, 1)
