from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import BertWordPieceTokenizer

from pipelines.errors import SpecError
from pipelines.model.architecture import Architecture, check_architecture, read_architecture
from pipelines.model.token_ids import TokenIds, read_token_ids
from pipelines.store.models import package_folder
from tests.model.conftest import save_tokenizer
from tests.tiny import VOCABULARY


@pytest.fixture
def vocabulary(tmp_path: Path) -> TokenIds:
    save_tokenizer(tmp_path)
    return read_token_ids(tmp_path)


def written(folder: Path, **fields: Any) -> Path:
    path = folder / "my_config.json"
    path.write_text(json.dumps(fields))
    return path


def test_a_preset_is_as_large_as_the_vocabulary(vocabulary: TokenIds) -> None:
    found = read_architecture("bert-mini", vocabulary)
    assert (found.name, found.family, found.checkpoint) == ("bert-mini", "bert", None)
    assert (found.config["vocab_size"], found.config["pad_token_id"]) == (len(VOCABULARY), 0)
    check_architecture(found, vocabulary, 512)
    with pytest.raises(SpecError, match="up to 513 tokens, bert-mini has 512 positions: prepare them with max_seqlen"):
        check_architecture(found, vocabulary, 513)


def test_a_config_takes_from_the_vocabulary_what_it_does_not_tell(vocabulary: TokenIds, tmp_path: Path) -> None:
    found = read_architecture(written(tmp_path, model_type="roberta", max_position_embeddings=66), vocabulary)
    assert (found.family, found.config["vocab_size"], found.config["pad_token_id"]) == ("roberta", len(VOCABULARY), 0)
    assert (found.config["bos_token_id"], found.config["eos_token_id"]) == (2, 3)
    check_architecture(found, vocabulary, 65)  # positions begin at pad_token_id + 1
    with pytest.raises(SpecError, match="has 65 positions"):
        check_architecture(found, vocabulary, 66)


def test_a_config_that_tells_no_positions_has_its_familys(vocabulary: TokenIds, tmp_path: Path) -> None:
    found = read_architecture(written(tmp_path, model_type="distilbert"), vocabulary)
    check_architecture(found, vocabulary, 512)
    with pytest.raises(SpecError, match="has 512 positions"):
        check_architecture(found, vocabulary, 513)
    found = read_architecture(written(tmp_path, model_type="distilbert", dim="big"), vocabulary)
    with pytest.raises(SpecError, match=r"no config of a distilbert \(.*expected int, got str.*\): mend it"):
        check_architecture(found, vocabulary, 9)


def test_relative_positions_have_no_end(vocabulary: TokenIds, tmp_path: Path) -> None:
    check_architecture(read_architecture(written(tmp_path, model_type="t5"), vocabulary), vocabulary, 10_000)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"vocab_size": 40}, r"has \d+ tokens, .*my_config.json knows 40: write a vocab_size of that at least"),
        ({"pad_token_id": 1}, "has pad_token_id 1, the instances' tokenizer in .* 0: write that into the config"),
    ],
)
def test_a_config_of_another_tokenizer_is_refused(
    vocabulary: TokenIds, tmp_path: Path, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecError, match=told):
        check_architecture(read_architecture(written(tmp_path, model_type="bert", **fields), vocabulary), vocabulary, 9)


def test_a_config_may_know_more_tokens(vocabulary: TokenIds, tmp_path: Path) -> None:
    path = written(tmp_path, model_type="bert", vocab_size=2 * len(VOCABULARY), pad_token_id=0)
    check_architecture(read_architecture(path, vocabulary), vocabulary, 9)


def test_a_checkpoint(make_folder: Callable[..., Path], vocabulary: TokenIds) -> None:
    path = make_folder("Bert", kind="ForPreTraining")
    found = read_architecture(path, vocabulary)
    assert found.checkpoint is not None
    assert (found.family, found.checkpoint.path, found.name) == ("bert", path, str(path))
    check_architecture(found, vocabulary, 80)
    with pytest.raises(SpecError, match="has 80 positions"):
        check_architecture(found, vocabulary, 81)


def test_a_checkpoint_of_another_tokenizer_is_refused(make_folder: Callable[..., Path], vocabulary: TokenIds) -> None:
    """As large, but two tokens have changed places."""
    ship, stone = (vocabulary.ids[token] for token in ("ship", "stone"))
    other = replace(vocabulary, ids={**vocabulary.ids, "ship": stone, "stone": ship})
    found = read_architecture(make_folder(), other)
    with pytest.raises(SpecError, match=f"'.*' is {stone} there and {ship} here; prepare the instances with tokenizer"):
        check_architecture(found, other, 9)


def test_a_larger_vocabulary_than_the_checkpoints_is_refused(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    tokens = [*VOCABULARY, "zebra"]
    BertWordPieceTokenizer({t: n for n, t in enumerate(tokens)}).save(str(tmp_path / "tokenizer.json"))
    vocabulary = read_token_ids(tmp_path)
    path = make_folder()
    with pytest.raises(SpecError, match=f"has {len(tokens)} tokens, .* knows {len(VOCABULARY)}: prepare the instances"):
        check_architecture(read_architecture(path, vocabulary), vocabulary, 9)


def test_a_checkpoint_without_a_tokenizer_that_loads_is_held_to_its_size() -> None:
    rxnmapper = package_folder("package:rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k")
    vocabulary = read_token_ids(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    check_architecture(read_architecture(rxnmapper, vocabulary), vocabulary, 9)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no json", r"my_config.json is no JSON .*: write a config.json of transformers"),
        ("[1]", 'says of no family: add its "model_type"'),
        ("{}", 'says of no family: add its "model_type"'),
    ],
)
def test_a_file_that_is_no_config_is_refused(vocabulary: TokenIds, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "my_config.json"
    path.write_text(text)
    with pytest.raises(SpecError, match=told):
        read_architecture(path, vocabulary)


def test_a_name_that_stands_for_nothing_is_refused(vocabulary: TokenIds) -> None:
    with pytest.raises(SpecError, match=r"no architecture 'bert-huge': write bert-tiny, .* a config\.json or a folder"):
        read_architecture("bert-huge", vocabulary)


def test_the_family_is_the_configs() -> None:
    assert Architecture(name="a", config={"model_type": "gpt2"}).family == "gpt2"
