"""The heads by which a network under training tells tokens and sentences, as functions of its vectors.

They are made of the modules of transformers' own classes, so that what is trained is what is saved.

Shapes: M vectors, n instances, D width, V tokens of the vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.nn.functional import linear

from pipelines.errors import SpecError
from pipelines.model.abilities import MASK_HEADS
from pipelines.model.losses import Logits


def mask_logits(module: Any) -> Logits:
    """Vectors at masks [M, D] to logits [M, V], by the head of a ...ForMaskedLM or ...ForPreTraining.

    SpecError where the head is not where the family has it.
    """
    from transformers.activations import ACT2FN

    known = {name for name, _ in module.named_modules()}
    found = (head for head in MASK_HEADS.get(module.config.model_type, ()) if {head.dense, head.norm} <= known)
    if (names := next(found, None)) is None:
        raise SpecError(
            f"{type(module).__name__} has no masked-language-model head that is known here: derive it from its "
            "family's ...ForMaskedLM or ...ForPreTraining"
        )
    dense, norm = module.get_submodule(names.dense), module.get_submodule(names.norm)
    decoder = module.get_submodule(names.decoder.removesuffix(".weight"))
    activation = ACT2FN[getattr(module.config, names.activation, names.activation)]
    tied = partial(linear, weight=decoder.weight, bias=output_bias(module))
    decode = decoder if isinstance(decoder, nn.Linear) else tied
    return lambda hidden_md: decode(norm(activation(dense(hidden_md))))


def next_logits(module: Any) -> Logits:
    """Vectors [M, D] to logits [M, V] of the tokens after them, by the head of a ...LMHeadModel."""
    head = module.get_output_embeddings()
    return lambda hidden_md: head(hidden_md)  # a module as an attribute would be saved twice


def output_bias(module: Any) -> nn.Parameter | None:
    """What the head adds to every token's logit, [V]; None where it adds nothing."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    heads = MASK_HEADS.get(module.config.model_type, ())
    names = [name for head in heads for name in (head.decoder_bias, head.bias)]
    return next((parameters[name] for name in names if name in parameters), None)


def sentence_logits(module: Any) -> Logits:
    """Vectors of first tokens [n, D] to the two logits of a ...ForPreTraining, [n, 2], by its pooler and its head.

    SpecError where it has not both.
    """
    known = {name.rpartition(".")[2] for name, _ in module.named_modules()}
    if "pooler" not in known or not known & {"sop_classifier", "seq_relationship"}:
        raise SpecError(
            f"{type(module).__name__} has no head for two segments that is known here: derive it from "
            "BertForPreTraining or AlbertForPreTraining"
        )
    if "sop_classifier" in known:
        albert = module.base_model
        return lambda first_nd: module.sop_classifier(albert.pooler_activation(albert.pooler(first_nd)))
    return lambda first_nd: module.cls.seq_relationship(module.base_model.pooler(first_nd[:, None]))
