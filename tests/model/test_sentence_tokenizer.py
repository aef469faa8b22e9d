"""Sentences to flat ids, by tokenizers of several families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.errors import SpecError
from pipelines.model import sentence_tokenizer
from pipelines.model.sentence_tokenizer import SentenceTokenizer
from pipelines.model.tokenizer_folder import PlainFolder, read_tokenizer_folder
from pipelines.model.tokenizer_training import Kind, save_tokenizer, train_tokenizer
from tests.tiny import VOCABULARY, WORDS

TEXTS = [" ".join(WORDS), "the king of the garden, the ship.", "Peace and war and law!"]


def of_kind(folder: Path, kind: Kind) -> SentenceTokenizer:
    save_tokenizer(train_tokenizer(kind, TEXTS * 4, 500, lowercase=kind == "wordpiece"), kind, folder, 64)
    return SentenceTokenizer(read_tokenizer_folder(folder))


def gpt2(folder: Path) -> Path:
    """A folder as GPT-2's: bytes, one special token, nothing around a text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_ids_are_those_of_each_sentence_alone(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_tokenizer, "AT_A_TIME", 2)
    tokenizer = SentenceTokenizer(read_tokenizer_folder(tiny_model))
    found = tokenizer.tokenize(["the king", "", "peace and war", " \t", "the"])
    assert found.offsets.tolist() == [0, 2, 2, 5, 5, 6]
    assert [VOCABULARY[number] for number in found.values] == ["the", "king", "peace", "and", "war", "the"]
    assert (found.values.dtype, found.offsets.dtype) == (np.int32, np.int64)
    assert tokenizer.tokenize([]).offsets.tolist() == [0]
    assert tokenizer.vocab_size == len(set(VOCABULARY))


@pytest.mark.parametrize(("kind", "single", "pair"), [("wordpiece", 2, 3), ("bpe", 2, 3), ("unigram", 2, 3)])
def test_own_tokenizers_of_every_kind(tmp_path: Path, kind: Kind, single: int, pair: int) -> None:
    tokenizer = of_kind(tmp_path, kind)
    assert (tokenizer.special.num_single, tokenizer.special.num_pair) == (single, pair)
    assert tokenizer.separator.tolist() == tokenizer.special.after.tolist()
    assert len(tokenizer.tokenize(["the king of the garden"]).values) >= 5


def test_gpt2_has_no_tokens_around_and_one_between_documents(tmp_path: Path) -> None:
    tokenizer = SentenceTokenizer(read_tokenizer_folder(gpt2(tmp_path)))
    assert (tokenizer.special.num_single, tokenizer.special.num_pair) == (0, 0)
    assert tokenizer.separator.tolist() == [0]
    first, within = (tokenizer.tokenize([text]).values.tolist() for text in ("the", " the"))
    assert first != within  # a word at the beginning of a text is another token than one behind a space


def test_a_tokenizer_may_have_no_separator(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    made.save(str(tmp_path / "tokenizer.json"))
    assert SentenceTokenizer(PlainFolder(network_path=tmp_path)).separator.tolist() == []


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="has no tokenizer"):
        SentenceTokenizer(PlainFolder(network_path=tmp_path))
