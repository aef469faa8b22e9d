"""Documents to chunks: one actor on slices and on plain tables, nothing in dead letters but rows and reasons."""

import tempfile
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import SpecError
from pipelines.predict_spec import PredictSpec
from pipelines.schema import SliceHeader, flat, fold, unfold
from pipelines.spec import EmbedSpec
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import TEXT
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW, without
from pipelines.stages.tokenize import INPUT_IDS, WORD_IDS, ChunkTokenizer
from tests.children import die
from tests.model.conftest import save
from tests.tiny import VOCABULARY


def tokenizer(tiny_model, **fields):
    return ChunkTokenizer(Recipe.of(EmbedSpec(model=str(tiny_model), **fields)))


def slice_of(texts, first_row=0):
    header = SliceHeader(shard="a", shard_id="b", first_row=first_row, num_documents=len(texts))
    rows = pa.array(range(first_row, first_row + len(texts)), pa.int64())
    return fold(pa.table({ROW: rows, "id": [f"id-{row}" for row in rows.to_pylist()], TEXT: texts}), header)


def words(table):
    values, offsets = flat(table[INPUT_IDS])
    return [[VOCABULARY[token] for token in values[a:b]] for a, b in pairwise(offsets)]


def test_a_slice_of_documents_becomes_a_slice_of_chunks(tiny_model):
    chunks, header = unfold(
        tokenizer(tiny_model)(slice_of(pa.array(["The King", "", "of bread"], pa.large_string()), 5))
    )
    assert words(chunks) == [["[CLS]", "the", "king", "[SEP]"], ["[CLS]", "[SEP]"], ["[CLS]", "of", "bread", "[SEP]"]]
    assert chunks.column_names == [ROW, "id", INPUT_IDS, "num_tokens", "truncated"]
    assert chunks[ROW].to_pylist() == [5, 6, 7]
    assert chunks["num_tokens"].to_pylist() == [4, 2, 4]
    assert chunks["truncated"].to_pylist() == [False] * 3
    assert chunks["num_tokens"].type == pa.int32()
    assert (header.stats["num_tokens"], header.stats["truncated"]) == (10, 0)


def test_words_come_along_where_a_spec_needs_them(tmp_path):
    model = str(save(tmp_path / "masked", "Bert", kind="ForMaskedLM"))
    recipe = Recipe.of(PredictSpec(model=model, mask_every=2))
    chunks, _ = unfold(ChunkTokenizer(recipe)(slice_of(["the king, of [MASK]", ""])))
    values, offsets = flat(chunks[WORD_IDS])
    assert [values[a:b].tolist() for a, b in pairwise(offsets)] == [[-1, 0, 1, 2, 3, 4, -1], [-1, -1]]
    plain, _ = unfold(ChunkTokenizer(Recipe.of(PredictSpec(model=model)))(slice_of(["king"])))
    assert WORD_IDS not in plain.column_names


def test_a_document_that_is_too_long_is_truncated_and_said_so(tiny_model):
    chunks, header = unfold(tokenizer(tiny_model, max_seqlen=5)(slice_of(["king " * 9, "king"])))
    assert words(chunks)[0] == ["[CLS]", "king", "king", "king", "[SEP]"]
    assert chunks["truncated"].to_pylist() == [True, False]
    assert header.stats["truncated"] == 1


def test_or_it_becomes_chunks_that_overlap(tiny_model):
    text = "the king of bread and wind"
    chunks, _ = unfold(tokenizer(tiny_model, max_seqlen=5, overlong="chunk", stride=1)(slice_of([text, "king"], 3)))
    assert [" ".join(row[1:-1]) for row in words(chunks)] == ["the king of", "of bread and", "and wind", "king"]
    assert chunks[ROW].to_pylist() == [3, 3, 3, 4]
    assert chunks["id"].to_pylist() == ["id-3", "id-3", "id-3", "id-4"]
    assert chunks["chunk_index"].to_pylist() == [0, 1, 2, 0]
    spans = zip(chunks["char_start"].to_pylist(), chunks["char_end"].to_pylist(), strict=True)
    assert [text[a:b] for a, b in list(spans)[:3]] == ["the king of", "of bread and", "and wind"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_that_is_no_utf8_is_a_dead_letter_without_its_text(tiny_model, kind):
    values = pa.array([b"king", b"secret\xff", b"\xed\xa0\x80", b"bread"], pa.binary())
    values = values if kind == pa.string() else values.cast(pa.large_binary())
    texts = pa.Array.from_buffers(kind, 4, values.buffers())
    chunks, header = unfold(tokenizer(tiny_model)(slice_of(texts, 10)))
    assert chunks[ROW].to_pylist() == [10, 13]
    assert [(letter.row, letter.stage, letter.reason) for letter in header.dead_letters] == [
        (11, "tokenize", "the text is not valid UTF-8"),
        (12, "tokenize", "the text is not valid UTF-8"),
    ]


def test_a_slice_of_which_nothing_is_left_stays_a_slice(tiny_model):
    for texts in (pa.array([], pa.large_string()), pa.array([None], pa.large_string())):
        chunks, header = unfold(tokenizer(tiny_model)(slice_of(texts)))
        assert chunks.num_rows == 0
        assert len(header.dead_letters) == len(texts)
        assert flat(chunks[INPUT_IDS])[0].dtype == np.int32


@pytest.mark.parametrize("fields", [{}, {"max_seqlen": 5, "overlong": "chunk", "stride": 1}])
def test_one_document_at_a_time_is_the_same(tiny_model, tmp_path, monkeypatch, fields):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    texts = ["the king of bread and wind", None, "", "king", " ".join(["stone"] * 50)]
    attempts, batch = Attempts(), slice_of(texts, 10)
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model), **fields))
    plain, head = unfold(ChunkTokenizer(recipe)(batch))
    for _ in range(2):
        die(attempts, "tokenize", head)
    alone, its_head = unfold(ChunkTokenizer(recipe, attempts)(batch))
    assert alone.equals(plain)
    assert its_head.dead_letters == head.dead_letters
    assert [its_head.stats[name] for name in ("num_tokens", "truncated")] == [
        head.stats[name] for name in ("num_tokens", "truncated")
    ]
    die(attempts, "tokenize", head)
    die(attempts, "tokenize", head)
    die(attempts, "tokenize", head, 10)
    fewer, its_head = unfold(ChunkTokenizer(recipe, attempts)(batch))
    assert fewer.equals(without(plain, [10]))
    assert [letter.row for letter in its_head.dead_letters] == [10, 11]


def test_a_plain_table_keeps_its_columns(tiny_model):
    table = pa.table({"text": ["the king", "bread"], "year": [1, 2]})
    chunks = tokenizer(tiny_model)(table)
    assert chunks.column_names == ["text", "year", INPUT_IDS, "num_tokens", "truncated"]
    assert words(chunks) == [["[CLS]", "the", "king", "[SEP]"], ["[CLS]", "bread", "[SEP]"]]


def test_a_plain_table_with_a_null_is_refused(tiny_model):
    with pytest.raises(SpecError, match=r"row 1 of the batch \(the text is null\)"):
        tokenizer(tiny_model)(pa.table({"text": ["the king", None]}))
