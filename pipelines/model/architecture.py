"""What a pretraining begins with: a preset, a config, or a checkpoint to go on from; and whether that can be.

Nothing heavy is imported, so that a request is refused before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, num_positions, read_folder
from pipelines.model.presets import SIZES, preset_config
from pipelines.model.token_ids import TokenIds, read_token_ids


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Fields of a config.json, and the checkpoint that they are of; None where weights begin at random."""

    name: str
    config: Mapping[str, Any]
    checkpoint: ModelFolder | None = None

    @property
    def family(self) -> str:
        """Its model_type."""
        return str(self.config["model_type"])


def read_architecture(where: str | Path, vocabulary: TokenIds) -> Architecture:
    """The architecture of a name in ``SIZES``, of a config.json, or of a folder with a model, all local.

    A preset is as large as the vocabulary. SpecError where there is no such thing.
    """
    if str(where) in SIZES:
        config = preset_config(str(where), vocabulary.size, vocabulary.pad_id or 0)
        return Architecture(name=str(where), config=config)
    path = Path(where)
    if path.is_dir():
        folder = read_folder(path)
        config = {**folder.config, "model_type": folder.model_type}
        return Architecture(name=str(path), config=config, checkpoint=folder)
    if not path.is_file():
        raise SpecError(f"there is no architecture {str(where)!r}: write {', '.join(SIZES)}, a config.json or a folder")
    return Architecture(name=str(path), config=_read_config(path, vocabulary))


def check_architecture(architecture: Architecture, vocabulary: TokenIds, max_seqlen: int) -> None:
    """SpecError where it does not fit instances of ``vocabulary`` whose longest have ``max_seqlen`` tokens."""
    positions = num_positions(architecture.config) or num_positions(_with_defaults(architecture))
    if 0 < positions < max_seqlen:
        raise SpecError(
            f"the instances have up to {max_seqlen} tokens, {architecture.name} has {positions} positions: prepare "
            f"them with max_seqlen {positions} at most, or choose an architecture with more"
        )
    known = int(architecture.config.get("vocab_size", vocabulary.size))
    if known < vocabulary.size:
        raise SpecError(
            f"the instances' tokenizer in {vocabulary.path} has {vocabulary.size:,} tokens, {architecture.name} knows "
            f"{known:,}: {_remedy(architecture)}"
        )
    if architecture.checkpoint:
        _check_same(architecture.checkpoint, vocabulary)
    pad = architecture.config.get("pad_token_id")
    if not architecture.checkpoint and vocabulary.pad_id not in (None, pad):
        raise SpecError(
            f"{architecture.name} has pad_token_id {pad}, the instances' tokenizer in {vocabulary.path} "
            f"{vocabulary.pad_id}: write that into the config"
        )


def _read_config(path: Path, vocabulary: TokenIds) -> Mapping[str, Any]:
    """The fields; the vocabulary's where they do not tell."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(f"{path} is no JSON ({error}): write a config.json of transformers") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise SpecError(f'{path} says of no family: add its "model_type", such as "bert"')
    own = {"vocab_size": vocabulary.size, "pad_token_id": vocabulary.pad_id, **vocabulary.ends}
    return {**{name: value for name, value in own.items() if value is not None}, **config}


def _with_defaults(architecture: Architecture) -> Mapping[str, Any]:
    """The config, with what its family has where it tells nothing. SpecError where the family has no such config."""
    from transformers import AutoConfig  # seconds, for configs alone that tell no positions

    try:
        return {**AutoConfig.for_model(**architecture.config).to_dict(), "model_type": architecture.family}
    except Exception as error:  # each of a config's fields has checks of its own
        told = " ".join(str(error).split())
        raise SpecError(f"{architecture.name} is no config of a {architecture.family} ({told}): mend it") from error


def _check_same(checkpoint: ModelFolder, vocabulary: TokenIds) -> None:
    """A network that learnt other ids for the same tokens would learn from noise."""
    try:
        own = read_token_ids(checkpoint.path)
    except SpecError:  # it came without a tokenizer that loads: there is nothing to compare
        return
    if token := own.difference(vocabulary):
        raise SpecError(
            f"the instances' tokenizer in {vocabulary.path} is not that of {checkpoint.path}: {token!r} is "
            f"{vocabulary.ids.get(token, 'no token')} there and {own.ids.get(token, 'no token')} here; "
            f"prepare the instances with tokenizer {checkpoint.path}"
        )


def _remedy(architecture: Architecture) -> str:
    if architecture.checkpoint:
        return f"prepare the instances with tokenizer {architecture.name}"
    return "write a vocab_size of that at least into the config"
