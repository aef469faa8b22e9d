"""What a prediction is asked with: refused at birth in one line, fingerprinted by what decides it alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.fingerprint import fingerprint
from pipelines.predict_spec import PREDICTIONS, PredictSpec
from pipelines.spec import RESERVED


def spec(*outputs: str, **fields: Any) -> PredictSpec:
    return PredictSpec(model="m", **{"outputs": list(outputs), **fields} if outputs else fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outputs": []}, "write one or more of embedding, .*, fill_mask, pseudo_perplexity, .*, each once"),
        ({"outputs": ["fill"]}, "outputs"),
        ({"outputs": ["fill_mask", "fill_mask"]}, "outputs"),
        ({"top_k": 0}, "top_k is 0: write a number of at least 1"),
        ({"mask_every": -1}, "mask_every"),
        ({"mask_stride": -1}, "mask_stride"),
        ({"id": "fill_mask"}, "are columns of the output"),
        ({"id": "_text_pair"}, "are columns of the output"),
        ({"outputs": ["classify"], "max_answer_tokens": 0}, "max_answer_tokens is 0"),
        ({"question": "Who?"}, "question is 'Who[?]': it is for classify"),
        ({"outputs": ["classify"], "question": "Who?", "text_pair": "context"}, "leave out text_pair"),
        ({"outputs": ["token_embeddings"], "text_pair": "other"}, "token_embeddings are of one text"),
        ({"outputs": ["next_sentence"], "overlong": "chunk"}, "overlong is 'chunk'"),
        ({"text_pair": ["a", ""]}, "text_pair"),
    ],
)
def test_predictions_that_make_no_sense_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        PredictSpec(model="m", **fields)


def test_words_matter_to_some_predictions() -> None:
    assert not spec("fill_mask", "pseudo_perplexity").needs_words
    assert not spec("fill_mask", mask_unit="word").needs_words
    assert spec("fill_mask", mask_every=3).needs_words
    assert spec("pseudo_perplexity", mask_unit="word_l2r").needs_words


def test_two_texts_come_from_columns_or_from_a_question() -> None:
    assert (spec("classify").pairs, spec("classify").is_paired) == ([], False)
    assert (spec("classify", text_pair="b").pairs, spec("classify", text_pair="b").is_paired) == (["b"], True)
    assert spec("classify", text_pair=["b", "c"]).pairs == ["b", "c"]
    assert (spec("classify", question="Who?").pairs, spec("classify", question="Who?").is_paired) == ([], True)
    assert spec("next_sentence").asks_for_sentences
    assert not spec("next_sentence", text_pair="b").asks_for_sentences
    assert not spec("classify").asks_for_sentences


@pytest.mark.parametrize(
    ("output", "fields"),
    [
        ("fill_mask", {"top_k": 9, "mask_every": 2}),
        ("pseudo_perplexity", {"mask_unit": "word", "mask_stride": 2, "token_log_probs": True}),
        ("next_sentence", {"language": "de"}),
        ("classify", {"aggregation": "max", "max_answer_tokens": 9, "question": "Who?"}),
    ],
)
def test_a_field_counts_where_it_decides_something(output: str, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        assert fingerprint(spec(output, **{name: value}), "h") != fingerprint(spec(output), "h")
        if name != "question":  # which is refused elsewhere
            assert fingerprint(spec("embedding", **{name: value}), "h") == fingerprint(spec("embedding"), "h")
    assert fingerprint(spec("embedding", text_pair="b"), "h") != fingerprint(spec("embedding"), "h")


def test_every_output_takes_room_and_none_has_the_name_of_a_column_of_the_corpus() -> None:
    sizes = {output: spec(output, max_seqlen=64).output_bytes(32) for output in PREDICTIONS}
    assert sizes["embedding"] == sizes["embedding_cls"] == 4 * 32
    assert sizes["token_embeddings"] == 64 * (2 * 32 + 12)
    assert min(sizes.values()) > 0
    assert spec("embedding", "classify", max_seqlen=64).output_bytes(32) == sizes["embedding"] + sizes["classify"]
    assert set(PREDICTIONS) <= RESERVED
