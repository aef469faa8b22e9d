"""Tensors of BERT's files by the names that transformers gives them, and modules made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.model.folder import ModelFolder
from pipelines.model.weights import read_weights

OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
WORDS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class BertWeights:
    """The tensors under a prefix, which are given out in one dtype on one device. KeyError for one that is missing."""

    tensors: Mapping[str, Tensor]
    prefix: str
    config: Mapping[str, Any]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def read(cls, folder: ModelFolder, dtype: torch.dtype, device: torch.device) -> BertWeights:
        """The weights of the network in a folder, whatever comes beside it there. SpecError as ``read_weights``."""
        tensors = {_new_name(name): tensor for name, tensor in read_weights(folder.network_path).items()}
        prefix = next((name.removesuffix(WORDS) for name in tensors if name.endswith(WORDS)), "")
        return cls(tensors, prefix, folder.config, dtype, device)

    def under(self, prefix: str) -> BertWeights:
        """Those whose names go on like this."""
        return replace(self, prefix=self.prefix + prefix)

    def beside(self, dtype: torch.dtype) -> BertWeights:
        """Those that stand beside the network's, as its heads do, in another dtype."""
        outer = self.prefix.rstrip(".").rpartition(".")[0]
        return replace(self, prefix=f"{outer}." if outer else "", dtype=dtype)

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.tensors

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name].to(dtype=self.dtype, device=self.device)

    def linear(self, name: str) -> nn.Linear:
        """The linear layer of this name."""
        weight = self[f"{name}.weight"]
        return self._filled(nn.Linear(weight.shape[1], weight.shape[0], device="meta"), name)

    def norm(self, name: str) -> nn.LayerNorm:
        """The layer normalization of this name."""
        epsilon = float(self.config.get("layer_norm_eps", 1e-12))
        return self._filled(nn.LayerNorm(self[f"{name}.weight"].shape, epsilon, device="meta"), name)

    def _filled(self, module: Any, name: str) -> Any:
        module.load_state_dict({part: self[f"{name}.{part}"] for part in ("weight", "bias")}, assign=True)
        return module


def _new_name(name: str) -> str:
    for old, new in OLD_NAMES:
        name = name.replace(old, new)
    return name
