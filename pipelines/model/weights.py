"""The tensors of a folder's files, read without a network to put them in and without running anybody's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pipelines.errors import SpecError
from pipelines.model.weight_names import PICKLED, SAFE


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Tensors by name, on the CPU, of model.safetensors (in one file or several), else of pytorch_model.bin.

    Pickles are read by weights_only loading. SpecError where there is no such file, or one cannot be read.
    """
    try:
        if names := _safe_files(path):
            from safetensors.torch import load_file

            return {key: tensor for name in names for key, tensor in load_file(path / name).items()}
        found = torch.load(path / PICKLED, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise SpecError(f"{path} has no {SAFE}: fetch the model again") from error
    except Exception as error:  # each reader has exceptions of its own for files that are not what their name says
        raise SpecError(f"the weights in {path} do not load ({type(error).__name__}): fetch the model again") from error
    return {key: tensor for key, tensor in found.items() if isinstance(tensor, Tensor)}


def _safe_files(path: Path) -> list[str]:
    if (path / SAFE).exists():
        return [SAFE]
    index = path / f"{SAFE}.index.json"
    return sorted(set(json.loads(index.read_text())["weight_map"].values())) if index.exists() else []
