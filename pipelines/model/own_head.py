"""A fine-tuned model's own head, run on vectors that a network has made already.

Heads differ from family to family: BERT's reads what a pooler made, RoBERTa's has a layer more, ModernBERT's may take
a mean, GPT-2's reads the last token. Here is no list of them. The model's class runs as it is, but in its network's
place stands a module that answers with the vectors: they come to it as ``inputs_embeds``, which every class hands on.

Shapes: B chunks of T tokens in all, padded S; D width, L labels.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.abilities import ClassifierKind
from pipelines.model.training_inputs import to_device
from pipelines.text.pack import gathered, pad_batch, plan_batches

PADDED_TOKENS = 2**16
"""Tokens, padding counted, that the head is given at a time: packed batches may hold long chunks beside short ones."""
MULTIPLES = (8, 32)
"""Of rows and of columns that heads of tokens learn from on a CPU."""
NO_TOKEN = -1
"""Pads token ids where the model names no padding. Nothing looks it up, heads that seek the last token pass it over."""
TRIAL = 4
"""Tokens of the chunk that a head is tried on when it is taken."""
EXACT, ROUGH = 1e-4, 0.1
"""How far head and model may differ there, in float32 and in half precision, as a share of the logits."""
REMEDY = "write a forward that hands input_ids, attention_mask and **kwargs on to the network and uses its first output"


class OwnHead(nn.Module):
    """What stands behind the network in a ...ForSequenceClassification, ...ForTokenClassification or
    ...ForQuestionAnswering, in float32 whatever the network's precision.

    ``whole`` loses its network to it. Several threads may call it at once. Where it ``learns`` it keeps its precision,
    and the pooler is the network's own.
    """

    def __init__(self, whole: Any, kind: ClassifierKind, *, learns: bool = False) -> None:
        super().__init__()
        self.kind = kind
        setattr(whole, whole.base_model_prefix, _Given(whole.base_model, learns))
        whole.config = copy.deepcopy(whole.config)  # the network keeps its own
        pad_id = getattr(whole.config, "pad_token_id", None)
        self._pad_id = whole.config.pad_token_id = NO_TOKEN if pad_id is None else pad_id
        self.whole = whole if learns else whole.float().eval().requires_grad_(False)
        self._rounds = learns and kind != "sequence"

    def forward(self, hidden_td: Tensor, values: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> Tensor:
        """Logits float32: [B, L] of chunks, [T, L] of tokens, [T, 2] of the tokens as an answer's start and end.

        ``values`` [T] are the token ids of the B chunks, ``lengths`` [B] how many each has.
        """
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        if len(lengths) * int(lengths.max(initial=0)) <= PADDED_TOKENS:
            return self._padded(hidden_td, *pad_batch(values, offsets, np.arange(len(lengths)), self._pad_id))
        groups = plan_batches(lengths, PADDED_TOKENS, padded=True)
        parts, homes = [], []
        for rows in groups:
            places = gathered(offsets[rows], lengths[rows])
            hidden = hidden_td[torch.from_numpy(places).to(hidden_td.device)]
            parts.append(self._padded(hidden, *pad_batch(values, offsets, rows, self._pad_id)))
            homes.append(rows if self.kind == "sequence" else places)
        order = torch.from_numpy(np.argsort(np.concatenate(homes)))
        return torch.cat(parts)[order.to(hidden_td.device)]

    def _padded(self, hidden_td: Tensor, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Tensor:
        if self._rounds and hidden_td.device.type == "cpu":
            ids, mask = rounded(ids, self._pad_id), rounded(mask, 0)
        # Places of tokens are told by the host: a GPU that were asked for them would be waited for.
        ids_bs, mask_bs, real_t = (to_device(array, hidden_td.device) for array in (ids, mask, np.flatnonzero(mask)))
        hidden_xd = hidden_td.new_zeros((ids.size, hidden_td.shape[1]), dtype=torch.float32)
        hidden_bsd = hidden_xd.index_copy_(0, real_t, hidden_td.float()).view(*ids.shape, -1)
        found = self.whole(input_ids=ids_bs, attention_mask=mask_bs, inputs_embeds=hidden_bsd)
        return logits_of(found, self.kind, real_t)


def rounded(array_bs: npt.NDArray[np.int64], padding: int) -> npt.NDArray[np.int64]:
    """With rows and columns of padding, so that there are few shapes (see ``pipelines.model.training_inputs``)."""
    extra = [(0, -size % multiple) for size, multiple in zip(array_bs.shape, MULTIPLES, strict=True)]
    return np.pad(array_bs, extra, constant_values=padding)


def take_head(whole: Any, kind: ClassifierKind, num_labels: int) -> OwnHead:
    """The head of a model that is loaded, in its place: the model's network works on, without it.

    Both are tried on a chunk of a few tokens. SpecError where the head alone does not say what the model says, or the
    labels are not as many as they should be.
    """
    name, exact = type(whole).__name__, whole.dtype == torch.float32
    if whole.base_model is whole:
        raise SpecError(f"{name} names no network: set its base_model_prefix to the attribute that holds it")
    try:
        head, found, expected = _tried(whole, kind)
    except Exception as error:
        fact = f"the head of {name} does not run on the last vectors of its network"
        raise SpecError(f"{fact} ({type(error).__name__}: {error}): {REMEDY}") from error
    if (count := found.shape[-1]) != num_labels:
        raise SpecError(f"{name} has {count} labels, its config.json names {num_labels}: name all in id2label")
    most = (EXACT if exact else ROUGH) * (1 + float(expected.abs().max()))
    if not torch.allclose(found, expected, rtol=0, atol=most):
        raise SpecError(f"the head of {name} says otherwise than the model does: {REMEDY}")
    return head


def head_beside(whole: Any, kind: ClassifierKind) -> OwnHead:
    """The head of a model that stays whole, with the same parameters, so that gradients reach them."""
    shell = copy.copy(whole)
    shell._modules = dict(whole._modules)
    return OwnHead(shell, kind, learns=True)


@torch.inference_mode()
def _tried(whole: Any, kind: ClassifierKind) -> tuple[OwnHead, Tensor, Tensor]:
    """The head, what it says of a chunk, and what the model said of it while it was whole."""
    whole.config.return_dict = True
    pad_id = getattr(whole.config, "pad_token_id", None) or 0
    ids = (pad_id + np.arange(1, TRIAL + 1)) % int(whole.config.vocab_size)
    ids_bs = torch.from_numpy(ids)[None].to(whole.device)
    inputs = {"input_ids": ids_bs, "attention_mask": torch.ones_like(ids_bs)}
    expected = logits_of(whole(**inputs), kind, torch.arange(TRIAL, device=whole.device)).float()
    hidden_td = whole.base_model(**inputs, return_dict=True).last_hidden_state[0]
    head = OwnHead(whole, kind)
    return head, head(hidden_td, ids, np.array([TRIAL])), expected


def logits_of(found: Any, kind: ClassifierKind, real_t: Tensor) -> Tensor:
    """Logits of what a model's class returned for B rows of S tokens, of those at these places of the B * S alone."""
    if kind == "sequence":
        of_chunks: Tensor = found.logits
        return of_chunks
    ends = kind == "answer"
    logits = torch.stack([found.start_logits, found.end_logits], dim=-1) if ends else found.logits
    return logits.flatten(0, 1)[real_t]


class _Given(nn.Module):
    """Stands for a network: its last hidden state is what it's given, pooled by the network's own pooler."""

    def __init__(self, network: Any, shared: bool) -> None:
        super().__init__()
        pooler = getattr(network, "pooler", None)
        own = pooler if shared else copy.deepcopy(pooler)
        self.pooler = own if isinstance(pooler, nn.Module) else None
        # ALBERT's and BigBird's pooler is a linear layer alone, with the activation beside it.
        names = ("pooler_activation", "activation") if isinstance(pooler, nn.Linear) else ()
        self.activation = next((getattr(network, name) for name in names if hasattr(network, name)), None)

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Any:
        """[B, S, D] as the output of a network."""
        from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions as Output

        return Output(last_hidden_state=inputs_embeds, pooler_output=self._pooled(inputs_embeds))

    def _pooled(self, hidden_bsd: Tensor) -> Any:
        if self.pooler is None:
            return None
        return self.pooler(hidden_bsd) if self.activation is None else self.activation(self.pooler(hidden_bsd[:, 0]))
