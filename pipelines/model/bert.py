"""BERT's network written out, for BERT and RoBERTa and what is built like them.

Transformers has it too, and all other families run through transformers. This one starts without the three seconds
that importing transformers takes in each process, and has nothing between its matrix products but what BERT asks for.
The gate holds it against transformers' own. (Devlin et al. 2018, arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692.)

Shapes: T or B x S tokens (written ...), H heads of width E, D = H * E.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu

from pipelines.model.attention import Attend, attend_packed, attend_padded, attend_sdpa, key_bias
from pipelines.model.bert_weights import WORDS, BertWeights
from pipelines.model.folder import ModelFolder
from pipelines.model.network import Path, Work, first_position
from pipelines.model.prepack import can_prepack, prepack

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": gelu, "relu": relu}
NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "context": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
"""Our names of a layer's modules, and those in the files."""


class BertLayer(nn.Module):
    """Attention and a feed-forward net, each added to its input and normalized after that."""

    def __init__(self, weights: BertWeights, attend: Attend) -> None:
        super().__init__()
        for name, stored in LAYER.items():
            setattr(self, name, weights.norm(stored) if stored.endswith("LayerNorm") else weights.linear(stored))
        self.heads = int(weights.config["num_attention_heads"])
        self.attend = attend
        self.activation = ACTIVATIONS[weights.config.get("hidden_act", "gelu")]

    def forward(self, hidden: Tensor, seen: Tensor | None, longest: int) -> Tensor:
        """[..., D] to [..., D]. ``seen`` and ``longest`` are for the attention."""
        query, key, value = (
            linear(hidden).unflatten(-1, (self.heads, -1)) for linear in (self.query, self.key, self.value)
        )
        context = self.attend(query, key, value, seen, longest).flatten(-2)
        hidden = self.attention_norm(self.context(context) + hidden)
        normalized: Tensor = self.norm(self.down(self.activation(self.up(hidden))) + hidden)
        return normalized


class BertNetwork(nn.Module):
    """A ``pipelines.model.network.Network``."""

    def __init__(self, folder: ModelFolder, weights: BertWeights, path: Path, attend: Attend) -> None:
        super().__init__()
        self.path, self.pad_id, self.vocab_size = path, folder.pad_token_id, int(folder.config["vocab_size"])
        self.first_position = first_position(folder)
        self.words = weights[WORDS]
        # Most tokens are of the first type, so that its vector is a part of each position's.
        types_yd = weights["embeddings.token_type_embeddings.weight"].float()
        positions = weights["embeddings.position_embeddings.weight"].float() + types_yd[0]
        self.positions = positions.to(self.words.dtype)
        self.second_type = (types_yd[1] - types_yd[0]).to(self.words.dtype) if len(types_yd) > 1 else None
        self.norm = weights.norm("embeddings.LayerNorm")
        layers = range(int(folder.config["num_hidden_layers"]))
        self.layers = nn.ModuleList(BertLayer(weights.under(f"encoder.layer.{n}."), attend) for n in layers)
        self.work = Work.of(self.parameters(), [], folder.hidden_size * len(layers))

    def forward(
        self, input_ids: Tensor, positions: Tensor, seen: Tensor | None, longest: int, types: Tensor | None = None
    ) -> Tensor:
        """Vectors [..., D] of token ids [...]."""
        hidden: Tensor = self.words[input_ids] + self.positions[positions]
        if types is not None and self.second_type is not None:
            hidden = hidden + types[..., None] * self.second_type
        hidden = self.norm(hidden)
        for layer in self.layers:
            hidden = layer(hidden, seen, longest)
        return hidden

    def padded(self, input_ids_bs: Tensor, attention_mask_bs: Tensor, token_types_bs: Tensor | None = None) -> Tensor:
        """See ``Network``."""
        longest, mask_bs = input_ids_bs.shape[1], attention_mask_bs.bool()
        positions_s = torch.arange(self.first_position, self.first_position + longest, device=input_ids_bs.device)
        hidden_bsd = self(input_ids_bs, positions_s, key_bias(mask_bs, self.words.dtype), longest, token_types_bs)
        return hidden_bsd[mask_bs]

    def packed(
        self,
        input_ids_t: Tensor,
        position_ids_t: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        token_types_t: Tensor | None = None,
    ) -> Tensor:
        """See ``Network``."""
        positions_t = position_ids_t + self.first_position
        hidden_td: Tensor = self(input_ids_t, positions_t, cu_seqlens, max_seqlen, token_types_t)
        return hidden_td


def is_bert(folder: ModelFolder) -> bool:
    """Whether the folder's config asks for this network and nothing beyond it."""
    config = folder.config
    return (
        folder.model_type in FAMILIES
        and "auto_map" not in config
        and config.get("hidden_act", "gelu") in ACTIVATIONS
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
        and all(isinstance(config.get(name), int) for name in NEEDED)
        and folder.hidden_size % (8 * int(config["num_attention_heads"])) == 0
    )


def load_bert(
    folder: ModelFolder, *, dtype: torch.dtype, device: torch.device, packed: bool, compile: bool = False
) -> BertNetwork | None:
    """The network for inference; None where the folder's files are named otherwise, which transformers may know.

    SpecError where they can't be read.
    """
    return build_bert(folder, BertWeights.read(folder, dtype, device), packed=packed, compile=compile)


def build_bert(folder: ModelFolder, weights: BertWeights, *, packed: bool, compile: bool = False) -> BertNetwork | None:
    """The network of weights that are read already, as ``load_bert``."""
    dtype, device = weights.dtype, weights.device
    by_products = device.type == "cpu" and dtype != torch.float32
    attend = attend_packed if packed else attend_padded if by_products else attend_sdpa
    try:
        network = BertNetwork(folder, weights, "packed" if packed else "padded", attend)
    except KeyError:
        return None
    if device.type == "cpu" and dtype != torch.float16 and not compile and can_prepack():
        prepack(network)
    if compile:
        network.compile(dynamic=True)
    return network.eval().requires_grad_(False)
