from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.example_spec import ExampleSpec
from pipelines.stages.example_recipe import ExampleRecipe


def spec(folder: Path, **fields: Any) -> ExampleSpec:
    return ExampleSpec(model=str(folder), task="regression", label="value", **fields)


def test_it_travels_and_tells_of_the_tokenizer(tiny_model: Path) -> None:
    recipe = ExampleRecipe.of(spec(tiny_model, max_seqlen=16))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe.told == {"tokenizer": str(tiny_model), "tokenizer_hash": recipe.model.hash}
    assert (recipe.identity.what, recipe.output_bytes) == ("tokenizer", 4 * 16)
    assert recipe.tokenizer().max_seqlen == 16


def test_auto_is_as_much_as_the_model_takes(tiny_model: Path) -> None:
    assert ExampleRecipe.of(spec(tiny_model)).spec.max_seqlen == 32
    assert ExampleRecipe.of(spec(tiny_model, max_seqlen=64)).spec.max_seqlen == 64  # its positions
    with pytest.raises(SpecError, match=r"^max_seqlen is 65: .* has 64 positions, write --spec\.max_seqlen 64 at"):
        ExampleRecipe.of(spec(tiny_model, max_seqlen=65))
