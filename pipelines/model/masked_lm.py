"""Masked language models: a network, and the head that says which tokens its masks stand for.

Most of a batch's tokens are no masks: the network gives all vectors, and those of masks alone meet the vocabulary.

Shapes: M masks, D width, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pipelines.errors import SpecError
from pipelines.model.abilities import NEWER_DEBERTA_HEAD, MaskHeadNames, known_mask_head
from pipelines.model.bert import ACTIVATIONS, build_bert, is_bert
from pipelines.model.bert_weights import WORDS, BertWeights
from pipelines.model.device import DTYPES, Precision
from pipelines.model.folder import ModelFolder
from pipelines.model.loading import asks_for_packed, check_path
from pipelines.model.network import Network
from pipelines.model.prepack import can_prepack, prepack
from pipelines.spec import DocumentSpec

LOGITS_BYTES = 16 * 2**20
"""Most bytes of logits at a time. On a CPU 4, 16 and 64 MB are equally fast, 1 MB takes twice as long."""


class MaskHead(nn.Module):
    """Linear layer, activation, norm and decoder, in float32 whatever the network's precision.

    A bfloat16 has three digits, too few for a logit: of all that a network computes, a head at the masks is little.
    """

    def __init__(
        self, dense: nn.Module, activation: Callable[[Tensor], Tensor], norm: nn.Module, decoder: nn.Linear
    ) -> None:
        super().__init__()
        self.vocab_size = decoder.out_features
        self.dense, self.activation, self.norm, self.decoder = dense.float(), activation, norm.float(), decoder

    def forward(self, hidden_md: Tensor) -> Tensor:
        """[M, D] to logits float32[M, V]."""
        logits_mv: Tensor = self.decoder(self.norm(self.activation(self.dense(hidden_md.float()))))
        return logits_mv


@dataclass(frozen=True)
class MaskedLM:
    """A network, and its head for vectors at masks."""

    network: Network
    head: MaskHead


def load_masked_lm(
    folder: ModelFolder,
    spec: DocumentSpec,
    *,
    device: torch.device,
    precision: Precision,
    path: str = "auto",
    attention: str = "auto",
) -> MaskedLM:
    """The network and its head on their device, for inference: ``path`` and ``attention`` as in ``load_network``.

    SpecError where the folder has no head, lacks weights of it, does not load or can't run as asked.
    """
    names = known_mask_head(folder)
    packed = asks_for_packed(path, device, precision) and not spec.model_class
    dtype = DTYPES[precision]
    may_be_ours = attention == "auto" and not spec.model_class and is_bert(folder)
    ours = _load_bert(folder, names, dtype, device, packed) if may_be_ours else None
    model = ours or _load_hugging_face(folder, names, dtype, device, packed, attention=attention, spec=spec)
    check_path(spec, folder, path, model.network)
    if device.type == "cpu" and attention == "auto" and can_prepack():
        prepack(model.head)
    model.head.eval().requires_grad_(False)
    return model


def token_log_probs(head: MaskHead, hidden_md: Tensor, targets_m: Tensor) -> Tensor:
    """float32[M]: natural logarithm of the probability of each target token at its mask. Targets are int64[M]."""
    rows = _rows(head)
    pieces = zip(hidden_md.split(rows), targets_m.split(rows), strict=True)
    return torch.cat([-cross_entropy(head(hidden), targets, reduction="none") for hidden, targets in pieces])


def top_k(head: MaskHead, hidden_md: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k likeliest tokens at each mask, likeliest first: log-probabilities float32[M, k], ids int64[M, k]."""
    pieces = [_top_k(head(hidden), k) for hidden in hidden_md.split(_rows(head))]
    log_probs, ids = zip(*pieces, strict=True)
    return torch.cat(log_probs), torch.cat(ids)


def _top_k(logits_mv: Tensor, k: int) -> tuple[Tensor, Tensor]:
    logits_mk, ids_mk = logits_mv.topk(k)
    return logits_mk - logits_mv.logsumexp(-1, keepdim=True), ids_mk


def _rows(head: MaskHead) -> int:
    """Masks whose logits are made at a time."""
    return max(1, LOGITS_BYTES // (4 * head.vocab_size))


def _load_bert(
    folder: ModelFolder, names: MaskHeadNames, dtype: torch.dtype, device: torch.device, packed: bool
) -> MaskedLM | None:
    """Our own network and the head beside it in the files; None where they are named otherwise."""
    weights = BertWeights.read(folder, dtype, device)
    network = build_bert(folder, weights, packed=packed)
    beside = weights.beside(torch.float32)
    try:
        activation = ACTIVATIONS[folder.config.get(names.activation, "gelu")]
        decoder = _linear(_decoder_weight(names, weights, beside), _decoder_bias(names, beside))
        head = MaskHead(beside.linear(names.dense), activation, beside.norm(names.norm), decoder)
    except KeyError:
        return None
    return MaskedLM(network, head) if network else None


def _decoder_weight(names: MaskHeadNames, weights: BertWeights, beside: BertWeights) -> Tensor:
    """The decoder's own where the files hold it, else the word embeddings that it is tied to."""
    tied = names.decoder not in beside and weights.config.get("tie_word_embeddings", True)
    return replace(weights, dtype=torch.float32)[WORDS] if tied else beside[names.decoder]


def _decoder_bias(names: MaskHeadNames, beside: BertWeights) -> Tensor:
    """Files hold it under the decoder's name, the head's that it is tied to, or both; the decoder's own counts."""
    tied = names.decoder_bias not in beside and beside.config.get("tie_word_embeddings", True)
    return beside[names.bias if tied else names.decoder_bias]


def _load_hugging_face(
    folder: ModelFolder,
    names: MaskHeadNames,
    dtype: torch.dtype,
    device: torch.device,
    packed: bool,
    *,
    attention: str,
    spec: DocumentSpec,
) -> MaskedLM:
    """Transformers' network, or the user's, and a head of its modules."""
    from transformers.activations import ACT2FN

    from pipelines.model.hugging_face import as_network, load_module

    fields = {"legacy": False} if names is NEWER_DEBERTA_HEAD else {}
    how: dict[str, Any] = {"dtype": dtype, "device": device, "maker": "AutoModelForMaskedLM", **fields}
    how |= {"trust_remote_code": spec.trust_remote_code, "model_class": spec.model_class}
    whole: Any = load_module(folder, **how)
    _require_head(whole, names)
    parameters = dict(whole.named_parameters(remove_duplicate=False))
    decoder = _linear(parameters[names.decoder], parameters.get(names.decoder_bias, parameters.get(names.bias)))
    activation = ACT2FN[getattr(whole.config, names.activation, names.activation)]
    head = MaskHead(whole.get_submodule(names.dense), activation, whole.get_submodule(names.norm), decoder)
    return MaskedLM(as_network(whole.base_model, folder, packed=packed, attention=attention), head)


def _require_head(whole: nn.Module, names: MaskHeadNames) -> None:
    """SpecError where a class of the user's keeps its head elsewhere than its family does."""
    has = {name for name, _ in whole.named_modules()} | {
        name for name, _ in whole.named_parameters(remove_duplicate=False)
    }
    if missing := [name for name in (names.dense, names.norm, names.decoder) if name not in has]:
        raise SpecError(
            f"{type(whole).__name__} has no {missing[0]}, so that it fills no masks: name a class of your own that "
            "subclasses its family's ...ForMaskedLM"
        )


def _linear(weight_vd: Tensor, bias_v: Tensor | None) -> nn.Linear:
    """A linear layer in float32; the tensors themselves stay as they are."""
    linear = nn.Linear(weight_vd.shape[1], weight_vd.shape[0], bias=bias_v is not None, device="meta")
    named = {"weight": weight_vd, "bias": bias_v}
    linear.load_state_dict({name: t.detach().float() for name, t in named.items() if t is not None}, assign=True)
    return linear
