import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.predict_spec import PredictSpec
from tests.model.conftest import spec_for


def rows(tokens: TokenizedDocuments) -> list[list[int]]:
    return [part.tolist() for part in np.split(tokens.values, tokens.offsets[1:-1])]


def test_ids_by_hand(minilm: ModelFolder) -> None:
    tokens = DocumentTokenizer(minilm, spec_for(minilm)).tokenize(["Hello world", ""])
    assert rows(tokens) == [[101, 7592, 2088, 102], [101, 102]]
    assert tokens.num_tokens.tolist() == [4, 2]
    assert (tokens.values.dtype, tokens.offsets.dtype) == (np.int32, np.int64)
    assert (tokens.char_start.tolist(), tokens.char_end.tolist()) == ([0, 0], [11, 0])


def test_no_texts(minilm: ModelFolder) -> None:
    tokens = DocumentTokenizer(minilm, spec_for(minilm)).tokenize([])
    assert (len(tokens.values), tokens.offsets.tolist(), len(tokens.document)) == (0, [0], 0)


def test_truncation_keeps_the_beginning_and_says_so(minilm: ModelFolder) -> None:
    tokens = DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=4)).tokenize(["one two three", "one two"])
    assert rows(tokens) == [[101, 2028, 2048, 102], [101, 2028, 2048, 102]]
    assert tokens.truncated.tolist() == [True, False]
    assert tokens.char_end.tolist() == [7, 7]


def test_chunks_by_hand(minilm: ModelFolder) -> None:
    spec = spec_for(minilm, max_seqlen=5, overlong="chunk", stride=1)
    tokens = DocumentTokenizer(minilm, spec).tokenize(["one two three four", "one"])
    assert rows(tokens) == [[101, 2028, 2048, 2093, 102], [101, 2093, 2176, 102], [101, 2028, 102]]
    assert tokens.document.tolist() == [0, 0, 1]
    assert tokens.chunk_index.tolist() == [0, 1, 0]
    assert list(zip(tokens.char_start.tolist(), tokens.char_end.tolist(), strict=True)) == [(0, 13), (8, 18), (0, 3)]
    assert not tokens.truncated.any()


def test_each_chunk_begins_with_the_prompt_and_offsets_leave_it_out(minilm: ModelFolder) -> None:
    spec = spec_for(minilm, max_seqlen=6, overlong="chunk", prompt="query: ")
    tokenizer = DocumentTokenizer(minilm, spec)
    tokens = tokenizer.tokenize(["one two three"])
    assert rows(tokens) == [[101, 23032, 1024, 2028, 2048, 102], [101, 23032, 1024, 2093, 102]]
    assert (tokens.char_start.tolist(), tokens.char_end.tolist()) == ([0, 8], [7, 13])
    assert tokenizer.prompt_length == 3
    assert (tokenizer.prompt_tokens(""), tokenizer.prompt_tokens("one two ")) == (0, 3)
    assert rows(tokenizer.tokenize(["one"], prompt="")) == [[101, 2028, 102]]


def test_odd_texts(minilm: ModelFolder) -> None:
    odd = [
        "\0",
        "a\0b",
        "\ud800 lone",
        "\U0001f642",
        "مرحبا بالعالم",
        "東京の天気",
        "x" * 2**20,
        "word " * 200_000,
        "\u202e",
    ]
    tokens = DocumentTokenizer(minilm, spec_for(minilm)).tokenize(odd)
    assert tokens.document.tolist() == list(range(len(odd)))
    assert (tokens.num_tokens <= 256).all()
    assert tokens.truncated.tolist() == [False] * 7 + [True, False]
    assert rows(tokens)[0] == [101, 102]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200), st.integers(3, 12), st.integers(0, 3))
def test_chunk_offsets_lead_back_to_the_text(minilm: ModelFolder, text: str, most: int, stride: int) -> None:
    stride = min(stride, most - 3)
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=most, overlong="chunk", stride=stride))
    tokens = tokenizer.tokenize([text])
    assert (tokens.num_tokens <= most).all()
    assert tokens.char_start[0] == 0
    assert tokens.char_end[-1] == len(text)
    assert (tokens.char_start <= tokens.char_end).all()
    assert (np.diff(tokens.char_start) >= 0).all()
    whole = DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=512)).tokenize([text])
    chunks = [row[1:-1] for row in rows(tokens)]
    assert chunks[0] + [token for chunk in chunks[1:] for token in chunk[stride:]] == rows(whole)[0][1:-1]


def test_no_room_beside_the_prompt_is_refused(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match=r"take 4: write 5 or more"):
        DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=4, prompt="query: "))


def test_the_words_of_a_prompt_are_not_the_documents(minilm: ModelFolder) -> None:
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm, prompt="query: "))
    words = tokenizer.tokenize(["a b"], with_words=True).words
    assert words is not None
    assert words.tolist() == [-1, -1, -1, 2, 3, -1]


def test_the_mask_and_other_special_tokens(minilm: ModelFolder, make_folder: Callable[..., Path]) -> None:
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm))
    assert (tokenizer.mask_id, tokenizer.cls_id) == (103, 101)
    assert tokenizer.special_ids.tolist() == [0, 101, 102, 103]  # 100 is [UNK]
    assert [tokenizer.token(n) for n in (2135, -1, 10**6)] == ["##ly", "", ""]
    assert tokenizer.decode([101, 16436, 2135, 1010, 103, 102]) == "embarrassingly,"
    path = make_folder()
    (path / "tokenizer.json").write_text((path / "tokenizer.json").read_text().replace("[MASK]", "[HOLE]"))
    assert DocumentTokenizer(read_folder(path), spec_for(read_folder(path))).mask_id is None
    names = {"mask_token": {"content": "[HOLE]"}, "unk_token": "[SEP]"}
    (path / "special_tokens_map.json").write_text(json.dumps(names))
    (path / "tokenizer_config.json").unlink()
    named = DocumentTokenizer(read_folder(path), spec_for(read_folder(path)))
    assert (named.mask_id, named.special_ids.tolist()) == (4, [0, 1, 2, 4])


def hugging_face(folder: ModelFolder) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder.network_path)


LONG = "a letter from the north with the names of all ships in the harbour, and what each of them carried"
PAIRS = [("who spoke?", "the president."), (LONG, "short"), ("short", LONG), (LONG, LONG), ("", "one"), ("one", "")]


@pytest.mark.parametrize("family", ["minilm", "Roberta"])
@pytest.mark.parametrize("max_seqlen", [11, 12, 64])
def test_pairs_are_those_of_transformers(
    minilm: ModelFolder, make_folder: Callable[..., Path], family: str, max_seqlen: int
) -> None:
    folder = minilm if family == "minilm" else roberta(make_folder(family))
    firsts, seconds = map(list, zip(*PAIRS, strict=True))
    tokenizer = DocumentTokenizer(folder, spec_for(folder, max_seqlen=max_seqlen))
    tokens = tokenizer.tokenize(firsts, pairs=seconds)
    theirs = hugging_face(folder)(firsts, seconds, truncation="longest_first", max_length=max_seqlen)
    assert rows(tokens) == theirs["input_ids"]
    whole = [len(ids) for ids in hugging_face(folder)(firsts, seconds)["input_ids"]]
    assert tokens.truncated.tolist() == [length > max_seqlen for length in whole]
    assert tokenizer.has_types == (family == "minilm")
    assert tokens.segment_b_start is not None
    starts = [theirs[row].sequence_ids.index(1) for row in range(5)]
    assert tokens.segment_b_start[:5].tolist() == starts
    if tokenizer.has_types:
        assert [row.type_ids.index(1) for row in theirs[:5]] == starts


def roberta(path: Path) -> ModelFolder:
    """The folder with two separators between a pair, and tokens of one type."""
    from tokenizers import Tokenizer
    from tokenizers.processors import RobertaProcessing

    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.post_processor = RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), trim_offsets=True, add_prefix_space=False)
    tokenizer.save(str(path / "tokenizer.json"))
    return read_folder(path)


def test_windows_of_a_second_text_are_those_of_transformers(minilm: ModelFolder) -> None:
    spec = spec_for(minilm, max_seqlen=14, overlong="chunk", stride=3)
    question, contexts = "who spoke?", [LONG, "short", ""]
    tokens = DocumentTokenizer(minilm, spec).tokenize([question] * 3, pairs=contexts, with_chars=True)
    theirs = hugging_face(minilm)(
        [question] * 3, contexts, truncation="only_second", max_length=14, stride=3, return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )  # fmt: skip
    assert rows(tokens) == theirs["input_ids"]
    assert tokens.document.tolist() == theirs["overflow_to_sample_mapping"]
    assert len(tokens.document) > 5
    assert not tokens.truncated.any()
    assert tokens.chars is not None
    expected = [
        span if sequence == 1 else (-1, -1)
        for row, spans in enumerate(theirs["offset_mapping"])
        for span, sequence in zip(spans, theirs[row].sequence_ids, strict=True)
    ]
    assert [tuple(span) for span in tokens.chars.tolist()] == expected


def test_a_first_text_that_leaves_no_room_is_cut_and_told(minilm: ModelFolder) -> None:
    spec = spec_for(minilm, max_seqlen=9, overlong="chunk", stride=2)
    tokens = DocumentTokenizer(minilm, spec).tokenize(["one two three four five six"], pairs=["one two three four"])
    assert rows(tokens) == [
        [101, 2028, 2048, 2093, 102, 2028, 2048, 2093, 102],
        [101, 2028, 2048, 2093, 102, 2048, 2093, 2176, 102],
    ]
    assert tokens.truncated.tolist() == [True, True]


def test_words_and_places_of_tokens_by_hand(minilm: ModelFolder) -> None:
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm, prompt="say: "))
    tokens = tokenizer.tokenize(["one unhappiest day"], with_words=True, with_chars=True)
    assert tokens.words is not None
    assert tokens.chars is not None
    assert [tokenizer.token(token) for token in tokens.values] == [
        "[CLS]", "say", ":", "one", "un", "##ha", "##pp", "##iest", "day", "[SEP]",
    ]  # fmt: skip
    assert tokens.words.tolist() == [-1, -1, -1, 2, 3, 3, 3, 3, 4, -1]
    assert tokens.chars.tolist() == [
        [-1, -1], [-1, -1], [-1, -1], [0, 3], [4, 6], [6, 8], [8, 10], [10, 14], [15, 18], [-1, -1],
    ]  # fmt: skip


def test_words_of_a_pair_go_on_in_the_second_text(minilm: ModelFolder) -> None:
    tokens = DocumentTokenizer(minilm, spec_for(minilm)).tokenize(
        ["one two"], pairs=["unhappiest one"], with_words=True
    )
    assert tokens.words is not None
    assert tokens.words.tolist() == [-1, 0, 1, -1, 2, 2, 2, 2, 3, -1]


def test_a_pair_without_room_is_refused(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match="special tokens and two texts take 5 at least"):
        DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=4)).tokenize(["one"], pairs=["two"])


def test_what_the_outputs_of_a_spec_need(minilm: ModelFolder) -> None:
    def chunks(*texts: list[str], **fields: Any) -> TokenizedDocuments:
        spec = resolve(PredictSpec(model="m", **fields), minilm)
        return DocumentTokenizer(minilm, spec).chunks(*texts)

    plain = chunks(["one two"])
    assert (plain.words, plain.chars, plain.segment_b_start) == (None, None, None)
    assert chunks(["one two"], mask_every=2).words is not None
    assert chunks(["one two"], outputs=["token_embeddings"]).chars is not None
    pair = chunks(["one"], ["two"], outputs=["next_sentence"], text_pair="b")
    asked = chunks(["two"], outputs=["classify"], question="one")  # the document is the question's context
    assert rows(pair) == rows(asked) == [[101, 2028, 102, 2048, 102]]
