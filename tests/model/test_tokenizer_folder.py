from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.model.tokenizer_files import load_tokenizer
from pipelines.model.tokenizer_folder import PlainFolder, read_tokenizer_folder
from pipelines.store.models import package_folder


def write(folder: Path, **files: object) -> Path:
    for name, value in files.items():
        path = folder / name.replace("__", "/").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    return folder


def test_a_folder_with_a_tokenizer_alone_will_do(tmp_path: Path) -> None:
    assert read_tokenizer_folder(write(tmp_path, tokenizer_json={})) == PlainFolder(network_path=tmp_path)


def test_a_models_folder_tells_where_and_how(tmp_path: Path) -> None:
    write(
        tmp_path, modules_json=[{"path": "0_T"}, {"path": "1_P"}], tokenizer_json={}, config_json={"model_type": "no"}
    )
    config = {"model_type": "bert", "vocab_size": 3}
    write(tmp_path, **{"0_T__sentence_bert_config_json": {"do_lower_case": True}, "0_T__config_json": config})
    assert read_tokenizer_folder(tmp_path) == PlainFolder(
        network_path=tmp_path / "0_T", lowercase=True, config=config, model_type="bert"
    )


def test_a_list_of_wordpieces_is_a_berts_where_nobody_says(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").touch()
    assert read_tokenizer_folder(tmp_path).model_type == "bert"
    assert read_tokenizer_folder(write(tmp_path, config_json={"model_type": "mpnet"})).model_type == "mpnet"
    rxnfp = read_tokenizer_folder(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    assert load_tokenizer(rxnfp).get_vocab_size() == 591


def test_no_folder_and_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no folder"):
        read_tokenizer_folder(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SpecError, match="is no JSON"):
        read_tokenizer_folder(tmp_path)
