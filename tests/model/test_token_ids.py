from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import BertWordPieceTokenizer

from pipelines.errors import SpecError
from pipelines.model.token_ids import TokenIds, read_token_ids
from pipelines.store.models import package_folder
from tests.model.conftest import save_tokenizer
from tests.tiny import VOCABULARY


def test_of_a_tokenizer_alone(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    vocabulary = read_token_ids(tmp_path)
    assert (vocabulary.size, vocabulary.pad_id, vocabulary.ids["union"]) == (
        len(VOCABULARY),
        0,
        VOCABULARY.index("union"),
    )
    (tmp_path / "tokenizer_config.json").unlink()
    assert read_token_ids(tmp_path).pad_id == 0


def test_of_a_models_folder(make_folder: Callable[..., Path]) -> None:
    assert read_token_ids(make_folder()).size == len(VOCABULARY)
    reactions = read_token_ids(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    assert (reactions.size, reactions.pad_id, reactions.ids["[MASK]"]) == (591, 0, 14)


def test_what_begins_and_ends_a_text(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    ends = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    assert read_token_ids(tmp_path).ends == ends
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"eos_token": "[UNK]", "sep_token": "[SEP]"}')
    assert read_token_ids(tmp_path).ends == {"eos_token_id": 1, "sep_token_id": 3}
    config.unlink()
    assert read_token_ids(tmp_path).ends == {}


def test_ids_count_up_to_the_greatest() -> None:
    assert TokenIds(path=Path("v"), ids={"a": 0, "b": 9}, pad_id=None).size == 10


def test_the_padding_that_is_named_counts(tmp_path: Path) -> None:
    BertWordPieceTokenizer({"[UNK]": 0, "<pad>": 1, "[PAD]": 2, "[CLS]": 3, "[SEP]": 4}).save(
        str(tmp_path / "tokenizer.json")
    )
    assert read_token_ids(tmp_path).pad_id == 2
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": "<pad>"}')
    assert read_token_ids(tmp_path).pad_id == 1


def test_where_two_differ() -> None:
    one = TokenIds(path=Path("one"), ids={"a": 0, "b": 1, "c": 2}, pad_id=None)
    assert one.difference(one) == ""
    assert one.difference(TokenIds(path=Path("two"), ids={"a": 0, "c": 1, "b": 2}, pad_id=None)) == "b"
    assert one.difference(TokenIds(path=Path("two"), ids={"a": 0, "b": 1}, pad_id=None)) == "c"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"(?s)no tokenizer.*add tokenizer\.json"):
        read_token_ids(tmp_path)
