"""The network that a pretraining begins with: weights drawn from a seed, or those of a checkpoint and a new head."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipelines.errors import MantaError, SpecError
from pipelines.model.abilities import SENTENCE_TASK
from pipelines.model.architecture import Architecture
from pipelines.model.refusal import MAX_REASON
from pipelines.model.user_class import user_class
from pipelines.pretrain_spec import Objective

MAKERS = {
    "mlm": "AutoModelForMaskedLM",
    "mlm+nsp": "AutoModelForPreTraining",
    "mlm+sop": "AutoModelForPreTraining",
    "causal": "AutoModelForCausalLM",
    "span": "AutoModelForSeq2SeqLM",
}
"""Who makes a network with the heads of an objective."""
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "dropout", "dropout_rate",
            "resid_pdrop", "embd_pdrop", "attn_pdrop", "mlp_dropout", "embedding_dropout",
            "classifier_dropout_prob")  # fmt: skip
"""What the families call their dropouts."""
TOKEN_HEAD = {"mlm": "masked-language-model head", "causal": "language-model head", "span": "language-model head"}
ALL_WEIGHTS = "all weights"
SENTENCE_HEADS = ("seq_relationship", "sop_classifier")


@dataclass(frozen=True)
class FirstWeights:
    """A module of transformers in float32, the parts of it that are new, and those of the checkpoint left out."""

    module: Any
    new: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def first_weights(
    architecture: Architecture,
    objective: Objective,
    *,
    seed: int,
    dropout: float | Literal["auto"] = "auto",
    model_class: str = "",
    trust_remote_code: bool = False,
) -> FirstWeights:
    """The network, with the heads of the objective. What is drawn is a function of the seed; torch's own state stays.

    SpecError where the checkpoint does not load, or lacks weights of its network.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what is new or left out is told here
    maker = user_class(model_class) if model_class else getattr(transformers, MAKERS[objective])
    try:
        config = _config(architecture, objective, maker, dropout, trust_remote_code)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if architecture.checkpoint:
                return _going_on(architecture, objective, maker, config, trust_remote_code)
            module = maker(config) if model_class else maker.from_config(config)
    except MantaError:
        raise
    except Exception as error:  # transformers lets through whatever a config or a file leads to
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:MAX_REASON]
        raise SpecError(f"{architecture.name} makes no network ({told}): mend its config or its weights") from error
    return FirstWeights(module.float(), (ALL_WEIGHTS,))


def _config(
    architecture: Architecture, objective: Objective, maker: Any, dropout: float | Literal["auto"], trust: bool
) -> Any:
    from transformers import AutoConfig

    checkpoint = architecture.checkpoint
    own = getattr(maker, "config_class", None)
    if own:
        config = own.from_dict(dict(architecture.config))
    elif checkpoint and "model_type" in checkpoint.config:
        config = AutoConfig.from_pretrained(checkpoint.network_path, local_files_only=True, trust_remote_code=trust)
    else:
        config = AutoConfig.for_model(**architecture.config)
    if "+" in objective:
        setattr(config, SENTENCE_TASK, objective.split("+")[1])
    if config.model_type == "albert":
        config.num_labels = 2  # of the head for the order of segments
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = config.pad_token_id or 0  # as T5's own has it
    for name in DROPOUTS if dropout != "auto" else ():
        if hasattr(config, name):
            setattr(config, name, dropout)
    return config


def _going_on(architecture: Architecture, objective: Objective, maker: Any, config: Any, trust: bool) -> FirstWeights:
    assert architecture.checkpoint
    path = architecture.checkpoint.network_path
    module, info = maker.from_pretrained(
        path, config=config, dtype=torch.float32, local_files_only=True, trust_remote_code=trust,
        output_loading_info=True, ignore_mismatched_sizes=True,  # refused below, in words
    )  # fmt: skip
    if mismatched := sorted(str(name) for name, *_ in info["mismatched_keys"]):
        raise SpecError(
            f"{path} has {len(mismatched)} weights such as {mismatched[0]} in other shapes than its config.json tells "
            "of: correct that or fetch the model again"
        )
    missing = sorted(info["missing_keys"])
    below = [name for name in missing if is_below(name, module)]
    if below:
        raise SpecError(f"{path} lacks {len(below)} weights such as {below[0]}: fetch the model again")
    return FirstWeights(module, _parts(missing, objective), _parts(info["unexpected_keys"], objective))


def is_below(name: str, module: Any) -> bool:
    """Whether a weight is of the network below the heads."""
    head = module.base_model is module or not name.startswith(f"{module.base_model_prefix}.")
    return not head and "pooler" not in name.split(".")


def _parts(names: Iterable[str], objective: Objective) -> tuple[str, ...]:
    """The parts that weights belong to, in words, each once."""
    return tuple(dict.fromkeys(_part(name, objective) for name in sorted(names)))


def _part(name: str, objective: Objective) -> str:
    places = name.split(".")
    if any(head in places for head in SENTENCE_HEADS):
        return "sentence-order head" if objective == "mlm+sop" else "next-sentence head"
    if "pooler" in places:
        return "pooler"
    return TOKEN_HEAD[objective.split("+")[0]]
