"""The network of a folder as transformers builds it, from local files alone."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.attention import PACKED, PADDED, register
from pipelines.model.folder import ModelFolder

ENCODER_HALVES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
}
"""Models with a decoder, of which the encoder alone is loaded."""


def load_network(
    folder: ModelFolder, *, dtype: torch.dtype, device: torch.device, trust_remote_code: bool = False
) -> nn.Module:
    """The network in inference mode, with the attention that transformers prefers for it.

    Weights come from safetensors, or from .bin files through weights_only loading. SpecError where the folder cannot
    be loaded, or lacks weights that the network needs.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    maker: Any = getattr(transformers, ENCODER_HALVES.get(folder.model_type, "AutoModel"))
    try:
        network, info = maker.from_pretrained(
            folder.network_path,
            config=_config(folder, trust_remote_code),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, UnpicklingError) as error:
        raise SpecError(f"{folder.network_path} does not load: {error}") from error
    missing = [name for name in info["missing_keys"] if "pooler" not in name]
    if missing:
        raise SpecError(
            f"{folder.network_path} lacks {len(missing)} weights such as {missing[0]}: fetch the model again"
        )
    return network.to(device).eval().requires_grad_(False)


def _config(folder: ModelFolder, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    if "model_type" not in folder.config:
        return AutoConfig.for_model(folder.model_type, **folder.config)
    return AutoConfig.from_pretrained(folder.network_path, local_files_only=True, trust_remote_code=trust_remote_code)


def set_attention(network: Any, attention: str) -> bool:
    """Use this attention of transformers' registry; False, and nothing changed, where the network cannot.

    Ours is for networks that ask the registry, and for no variant of attention that it does not know.
    """
    register()
    ours = attention in (PACKED, PADDED)
    capped = any("softcap" in name and value for name, value in network.config.to_dict().items())
    if (ours and (capped or not network._supports_attention_backend)) or not network._can_set_attn_implementation():
        return False
    network.set_attn_implementation(attention)
    return True


def can_pack(network: Any) -> bool:
    """Whether the network takes the positions that chunks end to end need, and has heads the kernel knows.

    Absolute and rotary positions can be given, relative ones cannot; the kernel takes multiples of 8 up to 256.
    """
    config = network.config.to_dict()
    relative = any(value for name, value in config.items() if name.startswith("relative_attention"))
    width = config.get("head_dim") or network.config.hidden_size // network.config.num_attention_heads
    takes_positions = "position_ids" in inspect.signature(network.forward).parameters
    return takes_positions and not relative and width % 8 == 0 and width <= 256


def first_position(folder: ModelFolder) -> int:
    """Position id of a chunk's first token: pad_token_id + 1 in RoBERTa's family."""
    rows = int(folder.config.get("max_position_embeddings") or 0)
    return rows - folder.max_positions if 0 < folder.max_positions < rows else 0


def run_padded(network: nn.Module, input_ids_bs: Tensor, attention_mask_bs: Tensor, longest: int) -> Tensor:
    """Vectors of all real tokens end to end, [T, D]."""
    hidden_bsd = network(input_ids=input_ids_bs, attention_mask=attention_mask_bs, return_dict=True).last_hidden_state
    return hidden_bsd[attention_mask_bs.bool()]


def run_packed(network: nn.Module, input_ids_t: Tensor, position_ids_t: Tensor, cu: Tensor, longest: int) -> Tensor:
    """Vectors of all tokens of a packed row, [T, D]."""
    lengths: dict[str, Any] = {
        "cu_seq_lens_q": cu,
        "cu_seq_lens_k": cu,
        "max_length_q": longest,
        "max_length_k": longest,
    }
    hidden_1td = network(input_ids=input_ids_t[None], position_ids=position_ids_t[None], return_dict=True, **lengths)
    return hidden_1td.last_hidden_state[0]


@dataclass(frozen=True)
class Work:
    """What a network computes: numbers outside its embedding tables, and width * layers of its attention."""

    num_weights: int
    attention_width: int

    @classmethod
    def of(cls, network: Any) -> Work:
        """The work of a network as it was loaded."""
        tables = sum(module.weight.numel() for module in network.modules() if isinstance(module, nn.Embedding))
        weights = sum(parameter.numel() for parameter in network.parameters()) - tables
        return cls(weights, network.config.hidden_size * network.config.num_hidden_layers)

    def useful_flops(self, lengths: npt.NDArray[np.int64]) -> float:
        """FLOPs of a forward pass over chunks of these lengths, padding not counted.

        Twice the weights for each token, and 4 * length * width * layers for its attention.
        """
        return float((2.0 * self.num_weights * lengths + 4.0 * self.attention_width * lengths**2).sum())
