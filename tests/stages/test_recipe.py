"""A recipe holds a model by its hash and a spec without "auto", and travels."""

import pickle

import pytest

from pipelines.errors import SpecError
from pipelines.spec import EmbedSpec
from pipelines.stages.recipe import Recipe


def test_every_auto_but_precision_is_made_concrete(tiny_model):
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model)))
    spec = recipe.spec
    assert (spec.dim, spec.max_seqlen, spec.pooling, spec.normalize, spec.prompt) == (32, 32, "mean", True, "")
    assert spec.precision == "auto"
    assert (recipe.model.kind, len(recipe.model.hash)) == ("folder", 64)


def test_it_travels_between_processes(tiny_model):
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model)))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe.folder().path == tiny_model


def test_a_folder_that_changed_since_is_refused(tiny_model, tmp_path):
    import shutil

    copy = shutil.copytree(tiny_model, tmp_path / "model")
    recipe = Recipe.of(EmbedSpec(model=str(copy)))
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    with pytest.raises(SpecError, match="holds another model here"):
        recipe.folder()


def test_what_the_model_cannot_do_is_refused_at_once(tiny_model):
    with pytest.raises(SpecError, match="dim is 64"):
        Recipe.of(EmbedSpec(model=str(tiny_model), dim=64))
