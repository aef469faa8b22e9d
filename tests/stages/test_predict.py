"""Chunks to predictions: the actor against the predictor for one's own use, its failures by row, its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import SpecError
from pipelines.predict_spec import PredictSpec
from pipelines.run.local import Predictor
from pipelines.schema import (
    ANSWER,
    CLASS,
    ENTITY,
    FILLING,
    NEXT_SENTENCE,
    PSEUDO_PERPLEXITY,
    SliceHeader,
    fold,
    ragged,
    token_embeddings_type,
    unfold,
)
from pipelines.spec import EncodePool
from pipelines.stages.actors import ActorPool
from pipelines.stages.documents import TEXT, TEXT_PAIR, DocumentColumns
from pipelines.stages.predict import ChunkPredictor, part_columns, predictor_settings
from pipelines.stages.recipe import Recipe
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenize import ChunkTokenizer
from tests.model.conftest import save

TEXTS = ["the [MASK] of bread", "stone bread wind night", "", "[MASK] [MASK]", "king"]
ON_CPU = {"device": "cpu", "num_threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("masked"), "Bert", kind="ForPreTraining")


def spec_of(model: Path, **fields: object) -> PredictSpec:
    both = ["fill_mask", "pseudo_perplexity"]
    return PredictSpec(model=str(model), **{"precision": "float32", "outputs": both, **fields})  # type: ignore[arg-type]


def slice_of(texts: list[str]) -> pa.Table:
    header = SliceHeader(shard="a", shard_id="b", first_row=7, num_documents=len(texts))
    return fold(pa.table({ROW: range(7, 7 + len(texts)), "id": range(len(texts)), TEXT: texts}), header)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mask_every": 2, "mask_unit": "word_l2r", "token_log_probs": True},
        {"outputs": ["fill_mask"]},
        {"outputs": ["embedding", "fill_mask", "token_embeddings", "embedding_cls"]},
        {"outputs": ["next_sentence", "embedding"]},
    ],
    ids=str,
)
def test_a_slice_of_chunks_becomes_a_slice_of_predictions(model: Path, fields: dict[str, object]) -> None:
    spec = spec_of(model, **fields)
    recipe = Recipe.of(spec)
    rows, header = unfold(ChunkPredictor(recipe, ON_CPU)(ChunkTokenizer(recipe)(slice_of(TEXTS))))
    columns = DocumentColumns(texts=("text",), separator="", id="id", id_name="id", id_type=pa.int64())
    found = rows.select(part_columns(columns, recipe.spec)).to_pylist()
    expected = Predictor(spec).predict(TEXTS)
    assert len(found) == len(expected) == 5
    for row, one in zip(found, expected, strict=True):
        assert len(one.pop("tokens")) == row["num_tokens"]
        assert {name: row[name] for name in one} == one
    types = {
        "fill_mask": pa.list_(FILLING), "embedding": pa.list_(pa.float32(), 32),
        "token_embeddings": token_embeddings_type(32), "next_sentences": pa.list_(NEXT_SENTENCE),
    }  # fmt: skip
    assert all(rows[name].type == kind for name, kind in types.items() if name in rows.column_names)
    if "pseudo_perplexity" in recipe.spec.outputs:
        assert rows["pseudo_perplexity"].type == PSEUDO_PERPLEXITY
        short = [row["pseudo_perplexity"]["reason"] is not None for row in found]
        assert short == [False, False, True, True, True]
    assert header.facts["precision"] == "float32"
    assert header.stats["encode_tokens"] > 0
    assert header.dead_letters == ()


SENTENCES = ["The king spoke. War came! Then peace?", "stone"]


@pytest.mark.parametrize(
    "fields", [{"text_pair": "b"}, {"text_pair": ["b", "c"], "overlong": "chunk", "max_seqlen": 9}]
)
def test_pairs_of_columns(model: Path, fields: dict[str, object]) -> None:
    spec = spec_of(model, outputs=["next_sentence", "embedding"], **fields)
    recipe = Recipe.of(spec)
    texts = {"text": ["a king", "bread of stone"], "b": ["war and peace", "a ship in the night"], "c": ["gold", None]}
    seconds = texts["b"] if fields["text_pair"] == "b" else ["war and peace\n\ngold", "a ship in the night"]
    rows = ChunkPredictor(recipe, ON_CPU)(ChunkTokenizer(recipe)(pa.table({"id": [1, 2], **texts})))
    expected = Predictor(spec).predict([str(text) for text in texts["text"]], [str(text) for text in seconds])
    assert rows["next_sentence"].to_pylist() == [one["next_sentence"] for one in expected]
    assert rows["embedding"].to_pylist() == [one["embedding"] for one in expected]
    assert not {"input_ids", "segment_b_start"} & set(rows.column_names)
    if spec.overlong == "chunk":
        assert rows["chunk_index"].to_pylist() == [0, 0, 1]


def test_a_second_text_that_is_null_is_a_dead_letter(model: Path) -> None:
    recipe = Recipe.of(spec_of(model, outputs=["next_sentence"], text_pair="b"))
    header = SliceHeader(shard="a", shard_id="b", first_row=0, num_documents=3)
    table = pa.table({ROW: range(3), "id": range(3), TEXT: ["a", None, "the king"], TEXT_PAIR: ["b", "c", None]})
    chunks, head = unfold(ChunkTokenizer(recipe)(fold(table, header)))
    assert [(letter.row, letter.reason) for letter in head.dead_letters] == [
        (1, "the text is null"), (2, "the second text is null"),
    ]  # fmt: skip
    assert chunks[ROW].to_pylist() == [0]


def test_sentences_of_a_document(model: Path) -> None:
    recipe = Recipe.of(spec_of(model, outputs=["next_sentence"]))
    rows, _ = unfold(ChunkPredictor(recipe, ON_CPU)(ChunkTokenizer(recipe)(slice_of(SENTENCES))))
    pair = Predictor(spec_of(model, outputs=["next_sentence"], text_pair="b"))
    expected = pair.predict(["The king spoke.", "War came!"], ["War came!", "Then peace?"])
    found = rows["next_sentences"].to_pylist()
    assert [(one["char_start"], one["char_end"]) for one in found[0]] == [(16, 25), (26, 37)]
    assert [one["probability"] for one in found[0]] == pytest.approx(
        [one["next_sentence"] for one in expected], abs=1e-6
    )
    assert found[1] == []


def classifier(folder: Path, kind: str, labels: dict[int, str] | None) -> Path:
    fields = {"id2label": labels, "label2id": {name: n for n, name in labels.items()}} if labels else {}
    return save(folder, "Bert", kind=kind, fields=fields)


THREE = {0: "dull", 1: "fine", 2: "grand"}


@pytest.mark.parametrize(
    ("kind", "labels", "fields", "column"),
    [
        (
            "ForSequenceClassification",
            {0: "dull", 1: "fine", 2: "grand"},
            {"outputs": ["classify", "embedding"]},
            CLASS,
        ),
        ("ForSequenceClassification", {0: "no", 1: "yes"}, {"text_pair": "b"}, CLASS),
        ("ForTokenClassification", {0: "O", 1: "B-PER", 2: "I-PER"}, {"aggregation": "first"}, pa.list_(ENTITY)),
        ("ForQuestionAnswering", None, {"question": "who spoke?"}, ANSWER),
        ("ForQuestionAnswering", None, {"text_pair": "b", "overlong": "chunk", "max_seqlen": 9, "stride": 1}, ANSWER),
    ],
)
def test_classes_entities_and_answers(
    tmp_path: Path, kind: str, labels: dict[int, str] | None, fields: dict[str, object], column: pa.DataType
) -> None:
    spec = spec_of(classifier(tmp_path / "model", kind, labels), **{"outputs": ["classify"], **fields})
    recipe = Recipe.of(spec)
    texts, seconds = ["a king", "bread of stone"], ["war and peace", "a ship in the night of the winter"]
    rows = ChunkPredictor(recipe, ON_CPU)(ChunkTokenizer(recipe)(pa.table({"id": [1, 2], "text": texts, "b": seconds})))
    expected = Predictor(spec).predict(texts, seconds if spec.pairs else ())
    assert rows["classify"].type == column
    assert rows["classify"].to_pylist() == [one["classify"] for one in expected]
    if "embedding" in spec.outputs:
        assert rows["embedding"].to_pylist() == [one["embedding"] for one in expected]
    if column == ANSWER:
        asked = seconds if spec.pairs else texts
        for row, answer in zip(rows["id"].to_pylist(), rows["classify"].to_pylist(), strict=True):
            assert 0 <= answer["char_start"] < answer["char_end"] <= len(asked[row - 1])


def test_a_footer_names_the_labels_in_their_order(tmp_path: Path) -> None:
    recipe = Recipe.of(spec_of(classifier(tmp_path, "ForSequenceClassification", THREE), outputs=["classify"]))
    _, header = unfold(ChunkPredictor(recipe, ON_CPU)(ChunkTokenizer(recipe)(slice_of(TEXTS))))
    assert header.facts["labels"] == '["dull", "fine", "grand"]'


def test_a_chunk_that_fails_takes_its_document_along(model: Path) -> None:
    recipe = Recipe.of(spec_of(model))
    ids = [[2, 4, 3], [2, 4, 50, 3], [2, 4, 10**6, 3], [2, 4, 51, 3]]
    offsets = np.cumsum([0, *(len(row) for row in ids)])
    table = pa.table({ROW: [7, 8, 8, 9], "input_ids": ragged(np.concatenate(ids).astype(np.int32), offsets)})
    header = SliceHeader(shard="a", shard_id="b", first_row=7, num_documents=3)
    rows, head = unfold(ChunkPredictor(recipe, ON_CPU)(fold(table, header)))
    assert rows[ROW].to_pylist() == [7, 9]
    assert [(letter.row, letter.stage) for letter in head.dead_letters] == [(8, "encode")]
    assert "outside the model's vocabulary" in head.dead_letters[0].reason


def test_columns_of_a_part() -> None:
    columns = DocumentColumns(
        texts=("text",), separator="", id="key", id_name="key", id_type=pa.int64(), passthrough={"year": pa.int32()}
    )
    spec = PredictSpec(model="m", id="key", passthrough=["year"])
    assert part_columns(columns, spec) == ["key", "fill_mask", "filled", "num_tokens", "truncated", "year"]
    scored = PredictSpec(model="m", outputs=["pseudo_perplexity"], token_log_probs=True, overlong="chunk")
    assert part_columns(columns, scored) == [
        "key", "pseudo_perplexity", "token_log_probs", "num_tokens", "truncated", "chunk_index", "char_start",
        "char_end", "year",
    ]  # fmt: skip


def test_a_masked_language_model_is_not_compiled() -> None:
    assert predictor_settings(EncodePool(), ActorPool(), 3) == {
        "device": "cpu", "num_threads": 3, "token_budget": "auto",
    }  # fmt: skip
    with pytest.raises(SpecError, match="compile is True"):
        predictor_settings(EncodePool(compile=True), ActorPool(), 3)


def test_what_a_model_cannot_give_is_refused_before_anything_starts(tiny_model: Path) -> None:
    with pytest.raises(SpecError, match="masked-language-model head"):
        Recipe.of(spec_of(tiny_model))
