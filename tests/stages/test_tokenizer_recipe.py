"""A recipe of instances holds a tokenizer by the hash of its files alone, and travels."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.fingerprint import fingerprint
from pipelines.prepare_spec import PrepareSpec
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from tests.model.test_sentence_tokenizer import gpt2


def spec(folder: Path, **fields: Any) -> PrepareSpec:
    return PrepareSpec(tokenizer=str(folder), **fields)


def test_it_travels_and_tells_of_the_tokenizer(tiny_model: Path) -> None:
    recipe = TokenizerRecipe.of(spec(tiny_model))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe.folder().network_path == tiny_model
    assert recipe.told == {"tokenizer": str(tiny_model), "tokenizer_hash": recipe.model.hash}
    assert recipe.identity.what == "tokenizer"
    assert recipe.output_bytes == 4 * 4 * 128


def test_the_same_tokenizer_elsewhere_is_the_same(tiny_model: Path, tmp_path: Path) -> None:
    """Whatever weights lie beside it, or none."""
    copy = tmp_path / "tokenizer"
    copy.mkdir()
    for name in ("tokenizer.json", "modules.json", "sentence_bert_config.json"):
        shutil.copy(tiny_model / name, copy / name)
    one, other = (TokenizerRecipe.of(spec(folder)) for folder in (tiny_model, copy))
    assert fingerprint(one.spec, one.identity.hash) == fingerprint(other.spec, other.identity.hash)


def test_what_the_tokenizer_cannot_do_is_refused_at_once(tiny_model: Path, tmp_path: Path) -> None:
    left_to_right = gpt2(tmp_path / "gpt2")
    with pytest.raises(SpecError, match=r"objective is 'mlm\+nsp': .* puts no token between two texts: write mlm"):
        TokenizerRecipe.of(spec(left_to_right))
    assert TokenizerRecipe.of(spec(left_to_right, objective="mlm")).model.kind == "folder"
    assert TokenizerRecipe.of(spec(tiny_model, max_seqlen=8)).spec.max_seqlen == 8
    with pytest.raises(SpecError, match="holds no tokenizer"):
        TokenizerRecipe.of(spec(tmp_path))
