"""A fine-tuned network as a folder: of transformers' own layout with a head, of sentence-transformers' without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from pipelines.model.abilities import KINDS as ENDINGS
from pipelines.model.export import MODULES, keep_modules, write_json, write_tokenizer
from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.folder import LEGACY_POOLING_KEYS, TRANSFORMER_CONFIGS, ModelFolder
from pipelines.model.sentence_head import SentenceHead
from pipelines.model.weight_names import PICKLED, SAFE

CONFIG = "config.json"
SENTENCE_CONFIG = "config_sentence_transformers.json"
MODULE_TYPES = "sentence_transformers.models"


def export_finetuned(model: FinetuningModel, folder: Path, *, checkpoint: ModelFolder, max_seqlen: int) -> None:
    """Write the network, and the tokenizer of the checkpoint it began with, into a folder, made if need be.

    ``max_seqlen`` is the most tokens of the examples that it has learnt from: whoever loads it cuts texts there. A
    classifier's config names its labels and its problem; ``jobs.predict`` and transformers' AutoModelFor... load it. An
    embedding model has the modules of its checkpoint, or (of a plain one) its pooling and a normalization, and no
    prompts, which it has not learnt with; sentence-transformers and ``jobs.embed`` load it. OSError where the disk
    fails.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    model.module.save_pretrained(folder)
    write_tokenizer(checkpoint.path, folder, max_seqlen)
    if model.sentence_head is None:
        _name_kind(model, folder)
    else:
        _write_modules(model.sentence_head, folder, checkpoint, max_seqlen)


def _name_kind(model: FinetuningModel, folder: Path) -> None:
    """Call a class of the user's own by its heir's name, from which readers tell what the logits are of."""
    ending = next(name for name, kind in ENDINGS.items() if kind == KINDS[model.lesson.task])
    names = (kind.__name__ for kind in type(model.module).__mro__)
    config = _read_json(folder / CONFIG)
    own = next((name for name in names if name.endswith(ending)), config["architectures"][0])
    write_json(folder / CONFIG, {**config, "architectures": [own]})


def _write_modules(head: SentenceHead, folder: Path, checkpoint: ModelFolder, max_seqlen: int) -> None:
    if (checkpoint.path / MODULES).exists():
        keep_modules(checkpoint, folder)
        _write_heads(head.heads, folder, checkpoint)
    else:
        _write_plain(head, folder, checkpoint)
    told = [_read_json(folder / name) for name in TRANSFORMER_CONFIGS if (folder / name).exists()]
    for name in TRANSFORMER_CONFIGS:
        (folder / name).unlink(missing_ok=True)
    write_json(folder / TRANSFORMER_CONFIGS[0], {**(told[0] if told else {}), "max_seq_length": max_seqlen})
    config = _read_json(folder / SENTENCE_CONFIG) if (folder / SENTENCE_CONFIG).exists() else {}
    write_json(folder / SENTENCE_CONFIG, {**config, "prompts": {}, "default_prompt_name": None})


def _write_heads(heads: nn.Sequential, folder: Path, checkpoint: ModelFolder) -> None:
    """The weights of the modules that follow pooling, in place of the checkpoint's."""
    from safetensors.torch import save_file

    kept = [told for told in checkpoint.heads if told.kind != "Dropout"]
    for told, layer in zip(kept, heads, strict=True):
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in layer.state_dict().items()}
        if weights:
            place = folder / told.path.relative_to(checkpoint.path)
            (place / PICKLED).unlink(missing_ok=True)
            save_file(weights, place / SAFE)


def _write_plain(head: SentenceHead, folder: Path, checkpoint: ModelFolder) -> None:
    """modules.json of a network, its pooling and, where vectors are scaled, a Normalize."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if head.normalizes else [])]
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"{MODULE_TYPES}.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    write_json(folder / MODULES, listed)
    for path in paths[1:]:
        (folder / path).mkdir(exist_ok=True)
    modes = {key: mode in head.pooling.split("+") for key, mode in LEGACY_POOLING_KEYS.items()}
    write_json(folder / paths[1] / CONFIG, {"word_embedding_dimension": checkpoint.hidden_size, **modes})


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
