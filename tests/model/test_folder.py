import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, document_prompt, query_prompt, read_folder, resolve
from pipelines.spec import EmbedSpec
from pipelines.store.models import package_folder

BERT = {"model_type": "bert", "hidden_size": 32, "max_position_embeddings": 80}
NETWORK = {"type": "sentence_transformers.models.Transformer", "path": ""}
POOLING = {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}


def write(folder: Path, **files: object) -> Path:
    for name, value in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))
    return folder


def test_minilm_tells_its_own_settings(minilm: ModelFolder) -> None:
    assert (minilm.model_type, minilm.pooling, minilm.normalize) == ("bert", "mean", True)
    assert (minilm.dim, minilm.max_seqlen, minilm.max_positions) == (384, 256, 512)
    spec = resolve(EmbedSpec(model="m"), minilm)
    assert (spec.prompt, spec.max_seqlen, spec.pooling, spec.normalize, spec.dim) == ("", 256, "mean", True, 384)
    assert spec.precision == "auto"


def test_a_plain_folder_is_averaged_and_not_normalized(tmp_path: Path) -> None:
    folder = read_folder(write(tmp_path, config=BERT, tokenizer_config={"model_max_length": 64}))
    assert (folder.pooling, folder.normalize, folder.max_seqlen, folder.dim) == ("mean", False, 64, 32)


def test_a_plain_causal_folder_takes_the_last_token(tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_embd": 32, "n_positions": 80, "architectures": ["GPT2ForCausalLM"]}
    assert read_folder(write(tmp_path, config=config)).pooling == "last_token"


def test_modules_of_the_new_and_the_old_layout(tmp_path: Path) -> None:
    dense = {"type": "sentence_transformers.base.modules.dense.Dense", "path": "2_Dense"}
    normalize = {"type": "sentence_transformers.models.Normalize", "path": "3_Normalize"}
    write(tmp_path, config=BERT, modules=[NETWORK, POOLING, dense, normalize])
    write(tmp_path, **{"2_Dense__config": {"in_features": 64, "out_features": 16}})
    write(tmp_path, **{"1_Pooling__config": {"pooling_mode": ["cls", "weightedmean"], "include_prompt": False}})
    folder = read_folder(tmp_path)
    assert (folder.pooling, folder.include_prompt, folder.normalize) == ("cls+weighted_mean", False, True)
    assert ([head.kind for head in folder.heads], folder.dim) == (["Dense"], 16)
    write(
        tmp_path, **{"1_Pooling__config": {"pooling_mode_cls_token": True, "pooling_mode_mean_sqrt_len_tokens": True}}
    )
    assert read_folder(tmp_path).pooling == "cls+mean_sqrt_len"


def test_positions_of_robertas_family_start_after_the_padding_id(tmp_path: Path) -> None:
    config = {"model_type": "xlm-roberta", "hidden_size": 32, "max_position_embeddings": 514, "pad_token_id": 1}
    folder = read_folder(write(tmp_path, config=config, sentence_bert_config={"max_seq_length": 514}))
    assert (folder.max_positions, folder.max_seqlen) == (512, 512)


def test_relative_positions_have_no_limit(tmp_path: Path) -> None:
    folder = read_folder(write(tmp_path, config={"model_type": "t5", "d_model": 32}))
    assert (folder.max_positions, folder.max_seqlen) == (0, 512)


@pytest.mark.parametrize(
    ("prompts", "default", "document", "query"),
    [
        ({}, None, "", ""),
        ({"query": "q: ", "passage": "p: "}, None, "p: ", "q: "),
        ({"query": "q: ", "document": ""}, "query", "", "q: "),
        ({"query": "q: "}, "query", "", "q: "),
        ({"all": "a: "}, "all", "a: ", "a: "),
    ],
)
def test_prompts(tmp_path: Path, prompts: dict[str, str], default: str | None, document: str, query: str) -> None:
    told = {"prompts": prompts, "default_prompt_name": default}
    folder = read_folder(write(tmp_path, config=BERT, config_sentence_transformers=told))
    assert (document_prompt(folder), query_prompt(folder)) == (document, query)
    assert resolve(EmbedSpec(model="m"), folder).prompt == document
    assert resolve(EmbedSpec(model="m", prompt="own: "), folder).prompt == "own: "


def test_what_the_model_cannot_do_is_refused(minilm: ModelFolder) -> None:
    for fields, message in (({"dim": 385}, "384 numbers"), ({"max_seqlen": 513}, "512 positions")):
        with pytest.raises(SpecError, match=message):
            resolve(EmbedSpec(model="m", **fields), minilm)
    assert resolve(EmbedSpec(model="m", pooling="mean+max"), minilm).dim == 768


def test_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no folder"):
        read_folder(tmp_path / "missing")
    with pytest.raises(SpecError, match="has no config"):
        read_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SpecError, match="is no JSON"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([NETWORK, POOLING, {"type": "sentence_transformers.models.LSTM", "path": "2"}], "module LSTM"),
        ([{"type": "sentence_transformers.models.BoW", "path": ""}], "begins with BoW"),
        ([NETWORK, {"type": "sentence_transformers.models.Pooling", "path": "../../etc"}], "leads out"),
    ],
)
def test_modules_that_are_not_known_are_refused_by_name(tmp_path: Path, modules: list[object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_folder(write(tmp_path, config=BERT, modules=modules))


def test_code_of_the_folders_own_needs_trust(tmp_path: Path) -> None:
    config = BERT | {"model_type": "homemade", "auto_map": {"AutoModel": "modeling.Homemade"}}
    folder = read_folder(write(tmp_path, config=config))
    with pytest.raises(SpecError, match="trust_remote_code"):
        resolve(EmbedSpec(model="m"), folder)
    resolve(EmbedSpec(model="m", trust_remote_code=True), folder)
    native = read_folder(write(tmp_path, config=config | {"model_type": "bert"}))
    resolve(EmbedSpec(model="m"), native)


def test_a_dense_module_that_does_not_fit_the_pooling_is_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder(
        modules=[("Pooling", {"pooling_mode": "mean"}), ("Dense", {"in_features": 32, "out_features": 8})]
    )
    with pytest.raises(SpecError, match="takes 32 numbers"):
        resolve(EmbedSpec(model="m", pooling="mean+max"), read_folder(path))


def test_the_weights_name_the_family_where_the_config_does_not(tmp_path: Path) -> None:
    folder = read_folder(package_folder("package:rxnfp/models/transformers/bert_pretrained"))
    assert (folder.model_type, folder.hidden_size, folder.max_positions) == ("bert", 256, 512)
    assert "model_type" not in folder.config
    nameless = package_folder("package:rxnfp/models/transformers/bert_ft")
    with pytest.raises(SpecError, match=r'says of no family: add its "model_type"'):
        read_folder(nameless)
