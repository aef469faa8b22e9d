"""A trained network as a folder that transformers, ``jobs.embed`` and ``jobs.predict`` load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pipelines.model.folder import TRANSFORMER_CONFIGS, ModelFolder
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.token_ids import PADS
from pipelines.model.tokenizer_files import load_tokenizer, named_token
from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.model.vocabulary import MASKS

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = ("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
                   "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")  # fmt: skip
"""Files beside these two that transformers may read; which of them there are depends on the family."""
MODULES = "modules.json"


def export(
    model: PretrainingModel,
    folder: Path,
    *,
    tokenizer: Path,
    max_seqlen: int,
    checkpoint: ModelFolder | None = None,
) -> None:
    """Write config.json, model.safetensors and the tokenizer's files into a folder, which is made if need be.

    ``tokenizer`` is the folder whose tokenizer made the instances, ``max_seqlen`` the most tokens that the network has
    learnt with: with no more, unless the checkpoint that it went on from knew more already. Of a sentence-transformers
    checkpoint the modules after the network (pooling, normalization) and the prompts come along, so that the new
    folder embeds in the same way. OSError where the disk fails.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    model.module.save_pretrained(folder)
    longest = max(max_seqlen, checkpoint.max_seqlen) if checkpoint else max_seqlen
    write_tokenizer(tokenizer, folder, longest)
    if checkpoint and (checkpoint.path / MODULES).exists():
        keep_modules(checkpoint, folder)


def write_tokenizer(source: Path, folder: Path, max_seqlen: int) -> None:
    """The tokenizer as it made the instances, also where the source holds older files alone.

    Padding and mask are named even where the source leaves that to its reader: transformers fills no masks else.
    """
    held = read_tokenizer_folder(source)
    tokenizer = load_tokenizer(held)
    tokenizer.save(str(folder / TOKENIZER))
    for name in TOKENIZER_FILES:
        if (held.network_path / name).exists():
            shutil.copyfile(held.network_path / name, folder / name)
    told = held.network_path / TOKENIZER_CONFIG
    config = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    for role, names in {"pad_token": PADS, "mask_token": MASKS}.items():
        known = next((name for name in names if tokenizer.token_to_id(name) is not None), None)
        if known and not named_token(held, role):
            config[role] = known
    write_json(folder / TOKENIZER_CONFIG, {**config, "model_max_length": max_seqlen})


def keep_modules(checkpoint: ModelFolder, folder: Path) -> None:
    """modules.json with the network in the folder itself, and the folders of the modules after it."""
    first, *others = json.loads((checkpoint.path / MODULES).read_text(encoding="utf-8"))
    write_json(folder / MODULES, [{**first, "path": ""}, *others])
    for module in others:
        if (checkpoint.path / module["path"]).is_dir():  # what has nothing to tell has none
            shutil.copytree(checkpoint.path / module["path"], folder / module["path"], dirs_exist_ok=True)
    kept = [checkpoint.path / "config_sentence_transformers.json"]
    for path in [*kept, *(checkpoint.network_path / name for name in TRANSFORMER_CONFIGS)]:
        if path.exists():
            shutil.copyfile(path, folder / path.name)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
