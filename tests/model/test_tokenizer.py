import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.tokenizer import DocumentTokenizer, TokenizedDocuments
from pipelines.spec import DocumentSpec
from pipelines.store.models import package_folder
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


def test_lower_case_that_the_folder_asks_for(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder(sentence_bert_config={"do_lower_case": True, "max_seq_length": 40}))
    tokenizer = DocumentTokenizer(folder, spec_for(folder))
    assert rows(tokenizer.tokenize(["THE Ship"])) == rows(tokenizer.tokenize(["the ship"]))


def test_a_folder_with_a_vocabulary_alone(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    folder = read_folder(path)
    fast = DocumentTokenizer(folder, spec_for(folder)).tokenize(["the ship, 12 letters"])
    from tests.tiny import VOCABULARY

    (path / "tokenizer.json").unlink()
    (path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert rows(DocumentTokenizer(folder, spec_for(folder)).tokenize(["the ship, 12 letters"])) == rows(fast)


def test_no_room_beside_the_prompt_is_refused(minilm: ModelFolder) -> None:
    with pytest.raises(SpecError, match=r"take 4: write 5 or more"):
        DocumentTokenizer(minilm, spec_for(minilm, max_seqlen=4, prompt="query: "))


def test_words_are_numbered_on_request(minilm: ModelFolder) -> None:
    spec = spec_for(minilm, max_seqlen=6, overlong="chunk", stride=1)
    tokenizer = DocumentTokenizer(minilm, spec)
    tokens = tokenizer.tokenize(["A letter embarrassingly, [MASK]", ""], with_words=True)
    assert rows(tokens) == [[101, 1037, 3661, 16436, 2135, 102], [101, 2135, 1010, 103, 102], [101, 102]]
    assert tokens.words is not None
    assert [part.tolist() for part in np.split(tokens.words, tokens.offsets[1:-1])] == [
        [-1, 0, 1, 2, 2, -1], [-1, 2, 3, 4, -1], [-1, -1],
    ]  # fmt: skip
    assert tokenizer.tokenize(["a"]).words is None


def test_the_words_of_a_prompt_are_not_the_documents(minilm: ModelFolder) -> None:
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm, prompt="query: "))
    words = tokenizer.tokenize(["a b"], with_words=True).words
    assert words is not None
    assert words.tolist() == [-1, -1, -1, 2, 3, -1]


def test_the_mask_and_other_special_tokens(minilm: ModelFolder, make_folder: Callable[..., Path]) -> None:
    tokenizer = DocumentTokenizer(minilm, spec_for(minilm))
    assert tokenizer.mask_id == 103
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


def test_the_tokenizer_of_a_config_without_model_type() -> None:
    folder = read_folder(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    tokenizer = DocumentTokenizer(folder, DocumentSpec(model="m", prompt="", max_seqlen=32))
    tokens = tokenizer.tokenize(["( = ) [MASK] 1"]).values.tolist()
    assert [tokenizer.token(token) for token in tokens] == ["[CLS]", "(", "=", ")", "[MASK]", "1", "[SEP]"]
    assert tokenizer.mask_id == tokens[4]
