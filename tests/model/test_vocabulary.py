from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers

from pipelines.model.folder import read_folder
from pipelines.model.vocabulary import read_vocabulary, vocabulary_of
from pipelines.text.masking import Vocabulary

WORDPIECES = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "ship": 5, "##s": 6, "#": 7}


def continuing(tokenizer: Tokenizer, vocabulary: Vocabulary) -> set[str | None]:
    return {tokenizer.id_to_token(n) for n in np.flatnonzero(vocabulary.continues).tolist()}


def wordpiece() -> Tokenizer:
    return Tokenizer.from_str(BertWordPieceTokenizer(WORDPIECES).to_str())


def test_a_wordpiece_tokenizer() -> None:
    found = vocabulary_of(wordpiece())
    assert np.flatnonzero(found.special).tolist() == [0, 2, 3, 4]
    assert np.flatnonzero(found.continues).tolist() == [6]
    assert found.ordinary.tolist() == [5, 6, 7]
    assert (found.mask_id, found.unknown_id, found.sentinel_ids) == (4, 1, ())


def test_a_byte_level_tokenizer() -> None:
    own = ByteLevelBPETokenizer()
    own.train_from_iterator(["a ship in a ship"] * 9, vocab_size=300, special_tokens=["<s>", "<unk>", "<mask>"])
    tokenizer = Tokenizer.from_str(own.to_str())
    found = vocabulary_of(tokenizer, unknown_token="<unk>")
    going_on = continuing(tokenizer, found)
    assert {"h", "!"} <= going_on
    assert not {"Ġa", "Ġship", "Ġ", "<unk>", "<s>"} & going_on
    ids = tokenizer.encode(" ship a shi").ids
    assert found.continues[ids].tolist()[:2] == [False, False]
    assert found.continues[ids].tolist()[2:] == [False, *[True] * (len(ids) - 3)]
    assert found.mask_id == tokenizer.token_to_id("<mask>")
    assert np.flatnonzero(found.special).tolist() == [tokenizer.token_to_id("<s>"), tokenizer.token_to_id("<mask>")]


def test_a_sentencepiece_tokenizer_with_sentinels_and_a_gap() -> None:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁ship", -1.0), ("s", -2.0), ("▁", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    names = ["<pad>", "</s>", "<unk>", *(f"<extra_id_{n}>" for n in (2, 1, 0))]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    found = vocabulary_of(tokenizer, unknown_token="<unk>")
    assert found.sentinel_ids == (8, 7, 6)
    assert np.flatnonzero(found.special).tolist() == [0, 1, 6, 7, 8]
    assert continuing(tokenizer, found) == {"s"}
    assert (found.mask_id, found.unknown_id) == (None, 2)


def test_what_the_configuration_names_goes_before() -> None:
    tokenizer = wordpiece()
    tokenizer.add_special_tokens(["[BLANK]"])
    assert vocabulary_of(tokenizer, mask_token="[BLANK]").mask_id == 8
    assert vocabulary_of(tokenizer, mask_token="[NONE]").mask_id == 4


def test_an_id_without_a_token_is_special_and_one_token_a_word_where_nothing_tells() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 2}, unk_token="a"))
    found = vocabulary_of(tokenizer)
    assert found.special.tolist() == [False, True, False]
    assert not found.continues.any()
    assert found.ordinary.tolist() == [2]


def test_a_folder(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    ids = json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]
    found = read_vocabulary(read_folder(path))
    assert (found.mask_id, found.unknown_id) == (ids["[MASK]"], ids["[UNK]"])
    assert found.continues.sum() == sum(token.startswith("##") for token in ids)
    (path / "tokenizer_config.json").write_text(json.dumps({"mask_token": "king"}))
    other = read_vocabulary(read_folder(path))
    assert other.mask_id == ids["king"]
    assert other.special[ids["king"]]
