from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.model.folder import read_folder
from pipelines.model.tokenizer_files import load_tokenizer, named_token
from pipelines.store.models import package_folder
from tests.tiny import VOCABULARY

TEXT = "the ship, 12 letters"


def test_it_neither_truncates_nor_pads(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    file = json.loads((path / "tokenizer.json").read_text())
    file["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    file["padding"] = {
        "strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[PAD]",
    }  # fmt: skip
    (path / "tokenizer.json").write_text(json.dumps(file))
    tokens = load_tokenizer(read_folder(path)).encode("the king of bread").tokens
    assert tokens == ["[CLS]", "the", "king", "of", "bread", "[SEP]"]


def test_lower_case_that_the_folder_asks_for(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder(sentence_bert_config={"do_lower_case": True, "max_seq_length": 40}))
    tokenizer = load_tokenizer(folder)
    assert tokenizer.encode("THE Ship").ids == tokenizer.encode("the ship").ids


def test_a_folder_with_a_vocabulary_alone(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    fast = load_tokenizer(read_folder(path)).encode(TEXT).ids
    (path / "tokenizer.json").unlink()
    (path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert load_tokenizer(read_folder(path)).encode(TEXT).ids == fast


def test_a_folder_without_a_tokenizer(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (path / name).unlink()
    with pytest.raises(SpecError, match=r"has no tokenizer .*: add tokenizer\.json"):
        load_tokenizer(read_folder(path))


def test_the_tokenizer_of_a_config_without_model_type() -> None:
    folder = read_folder(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    tokens = load_tokenizer(folder).encode("( = ) [MASK] 1").tokens
    assert tokens == ["[CLS]", "(", "=", ")", "[MASK]", "1", "[SEP]"]


def test_the_names_of_special_tokens(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    assert named_token(read_folder(path), "sep_token") == "[SEP]"
    assert named_token(read_folder(path), "mask_token") == ""
    (path / "special_tokens_map.json").write_text(json.dumps({"mask_token": {"content": "[HOLE]"}}))
    assert named_token(read_folder(path), "mask_token") == "[HOLE]"
