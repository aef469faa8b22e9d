"""A recipe holds a model by its hash and a spec without "auto", and travels."""

import os
import pickle
import shutil

import pytest

from pipelines.errors import SpecError
from pipelines.spec import EmbedSpec
from pipelines.stages.recipe import Recipe
from pipelines.store.digests import content_digest


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


MODULE = """
from transformers import BertModel
SCALE = {scale}
class Scaled(BertModel):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs)
        found.last_hidden_state = SCALE * found.last_hidden_state
        return found
"""


def write_code(folder, scale=2):
    folder.mkdir(exist_ok=True)
    (folder / "scaled_bert.py").write_text(MODULE.format(scale=scale))
    return str(folder)


def test_a_class_of_the_users_travels_with_its_code_and_changes_the_models_hash(tiny_model, tmp_path):
    plain = Recipe.of(EmbedSpec(model=str(tiny_model)))
    assert plain.identity == plain.model
    spec = EmbedSpec(model=str(tiny_model), model_class="scaled_bert.Scaled")
    recipe = Recipe.of(spec, user_code=write_code(tmp_path / "code"))
    assert recipe.model == plain.model  # what is fetched, whoever loads it
    assert recipe.identity.hash != plain.model.hash
    travelled = pickle.loads(pickle.dumps(recipe))
    assert travelled == recipe
    assert travelled.network_folder().path == tiny_model
    again = Recipe.of(spec, user_code=write_code(tmp_path / "elsewhere"))
    other = Recipe.of(spec, user_code=write_code(tmp_path / "code", scale=3))
    assert again.identity == recipe.identity
    assert len({plain.identity.hash, recipe.identity.hash, other.identity.hash}) == 3


def test_it_is_imported_by_a_process_that_has_nothing_of_it(tiny_model, tmp_path):
    import subprocess
    import sys

    spec = EmbedSpec(model=str(tiny_model), model_class="scaled_bert.Scaled")
    recipe = Recipe.of(spec, user_code=write_code(tmp_path / "code"))
    script = (
        "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1])).network_folder();"
        "from scaled_bert import SCALE; sys.exit(SCALE)"
    )
    shutil.rmtree(tmp_path / "code")
    environment = {**os.environ, "MANTA_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", script, pickle.dumps(recipe).hex()]
    assert subprocess.run(command, env=environment, check=False).returncode == 2


def test_an_installed_class_is_told_by_its_source(tiny_model, tmp_path, monkeypatch):
    write_code(tmp_path / "installed")
    (tmp_path / "installed/scaled_bert.py").rename(tmp_path / "installed/installed_bert.py")
    monkeypatch.syspath_prepend(tmp_path / "installed")
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model), model_class="installed_bert.Scaled"))
    assert recipe.class_hash == content_digest(tmp_path / "installed/installed_bert.py")
    assert recipe.network_folder().path == tiny_model
    with (tmp_path / "installed/installed_bert.py").open("a") as file:
        file.write("# another edition\n")
    with pytest.raises(SpecError, match=r"installed_bert.Scaled has another source on this node"):
        recipe.network_folder()


def test_a_class_is_checked_at_once_and_code_without_one_refused(tiny_model, tmp_path):
    code = write_code(tmp_path / "code")
    with pytest.raises(SpecError, match="has no class Missing"):
        Recipe.of(EmbedSpec(model=str(tiny_model), model_class="scaled_bert.Missing"), user_code=code)
    with pytest.raises(SpecError, match=r"user_code .* is given, and no class of it: name one by --spec.model_class"):
        Recipe.of(EmbedSpec(model=str(tiny_model)), user_code=code)
