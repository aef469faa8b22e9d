"""Architectures by name: BERT in six sizes (Turc et al. 2019, arXiv:1908.08962, table 1; Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZES: dict[str, tuple[int, int]] = {
    "bert-tiny": (2, 128),
    "bert-mini": (4, 256),
    "bert-small": (4, 512),
    "bert-medium": (8, 512),
    "bert-base": (12, 768),
    "bert-large": (24, 1024),
}
"""Layers and width."""
HEAD_WIDTH = 64
INNER = 4
"""Width of a layer's feed-forward net, in widths."""
MAX_POSITIONS = 512


def preset_config(name: str, vocab_size: int, pad_token_id: int) -> Mapping[str, Any]:
    """The fields of config.json. KeyError for a name that is none of ``SIZES``."""
    layers, width = SIZES[name]
    return {
        "model_type": "bert",
        "vocab_size": vocab_size,
        "pad_token_id": pad_token_id,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // HEAD_WIDTH,
        "intermediate_size": INNER * width,
        "max_position_embeddings": MAX_POSITIONS,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
    }
