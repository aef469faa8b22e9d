"""Which outputs a folder's model can give, told from its config and the names of its weights before anything loads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder
from pipelines.model.weight_names import weight_names
from pipelines.predict_spec import EMBEDDINGS, MASKED, PREDICTIONS

ALWAYS = (*EMBEDDINGS, "token_embeddings")
INSIDES = ("hidden_states", "pooler_output", "attentions")
"""What can be looked at of a network beside its outputs (``pipelines.model.inspection``)."""
ClassifierKind = Literal["sequence", "token", "answer"]
KINDS: dict[str, ClassifierKind] = {
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
    "ForQuestionAnswering": "answer",
}
"""What a classifier's logits are of, by the end of its class's name: a chunk, each token, the ends of an answer."""
CLASSIFIERS = tuple(KINDS)
NEXT_SENTENCE_HEAD = "cls.seq_relationship.weight"
SENTENCE_TASK = "sentence_task"
"""Field of the config that says what a network trained here tells of two segments: "nsp", or "sop", their order."""
LEFT_TO_RIGHT = ("ForCausalLM", "LMHeadModel")
DECODERS = ("gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "llama", "mistral", "mixtral", "qwen2", "qwen3",
            "gemma", "gemma2", "gemma3_text", "phi", "phi3", "falcon", "olmo2", "granite", "smollm3")  # fmt: skip
SPAN_WRITERS = ("t5", "mt5", "umt5", "longt5")


@dataclass(frozen=True)
class MaskHeadNames:
    """Where a family keeps its masked-language-model head: a linear layer, its activation, a norm, and the decoder.

    ``activation`` is the field of the config that names it, or its own name. ``decoder`` is tied to the word embeddings
    where the files lack it.
    """

    dense: str
    norm: str
    decoder: str
    bias: str
    activation: str = "gelu"

    @property
    def decoder_bias(self) -> str:
        """The decoder's own name of the bias; in most families it is tied to ``bias``."""
        return f"{self.decoder.removesuffix('.weight')}.bias"


BERT_HEAD = MaskHeadNames("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
                          "cls.predictions.decoder.weight", "cls.predictions.bias", "hidden_act")  # fmt: skip
ROBERTA_HEAD = MaskHeadNames("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder.weight", "lm_head.bias")
NEWER_DEBERTA_HEAD = MaskHeadNames("lm_predictions.lm_head.dense", "lm_predictions.lm_head.LayerNorm",
                                   "deberta.embeddings.word_embeddings.weight", "lm_predictions.lm_head.bias",
                                   "hidden_act")  # fmt: skip
MASK_HEADS: dict[str, tuple[MaskHeadNames, ...]] = {
    "bert": (BERT_HEAD,),
    "roberta": (ROBERTA_HEAD,),
    "xlm-roberta": (ROBERTA_HEAD,),
    "camembert": (ROBERTA_HEAD,),
    "mpnet": (ROBERTA_HEAD,),
    "distilbert": (
        MaskHeadNames("vocab_transform", "vocab_layer_norm", "vocab_projector.weight", "vocab_projector.bias",
                      "activation"),
    ),
    "albert": (
        MaskHeadNames("predictions.dense", "predictions.LayerNorm", "predictions.decoder.weight", "predictions.bias",
                      "hidden_act"),
    ),
    "electra": (
        MaskHeadNames("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.weight",
                      "generator_lm_head.bias"),
    ),
    "deberta-v2": (BERT_HEAD, NEWER_DEBERTA_HEAD),
    "modernbert": (
        MaskHeadNames("head.dense", "head.norm", "decoder.weight", "decoder.bias", "classifier_activation"),
    ),
}  # fmt: skip
"""By model_type; of several the first that the files hold. All are read as dense, activation, norm, decoder."""


def mask_head(folder: ModelFolder) -> MaskHeadNames | None:
    """Where the folder's masked-language-model head is; None where there is none. SpecError as ``weight_names``."""
    if _architecture(folder).endswith(CLASSIFIERS):  # ModernBERT's have a layer of the same name
        return None
    names = weight_names(folder.network_path)
    return next((head for head in MASK_HEADS.get(folder.model_type, ()) if f"{head.dense}.weight" in names), None)


def known_mask_head(folder: ModelFolder) -> MaskHeadNames:
    """Where the folder's masked-language-model head is. SpecError, as ``require``, where there is none."""
    head = mask_head(folder)
    if head is None:
        raise _refusal(folder, ["fill_mask"], abilities(folder))
    return head


def classifier_kind(folder: ModelFolder) -> ClassifierKind | None:
    """What the folder's classifier labels; None where it has no head that an encoder's vectors suffice for."""
    architecture = _architecture(folder)
    found = next((kind for name, kind in KINDS.items() if architecture.endswith(name)), None)
    return None if _asks_decoder(folder, found) else found


def known_classifier_kind(folder: ModelFolder) -> ClassifierKind:
    """What the folder's classifier labels. SpecError, as ``require``, where there is none."""
    kind = classifier_kind(folder)
    if kind is None:
        raise _refusal(folder, ["classify"], abilities(folder))
    return kind


def _asks_decoder(folder: ModelFolder, kind: ClassifierKind | None) -> bool:
    """Whether the head reads a decoder's vectors: that of texts does where a model has one, T5's of tokens does not."""
    return kind in ("sequence", "answer") and (
        folder.model_type in SPAN_WRITERS or bool(folder.config.get("is_encoder_decoder"))
    )


def abilities(folder: ModelFolder) -> frozenset[str]:
    """The outputs that the folder's model can give, of ``PREDICTIONS``. SpecError where its weights cannot be read."""
    found = set(ALWAYS)
    if mask_head(folder):
        found.update(MASKED)
    if (
        folder.model_type == "bert"
        and folder.config.get(SENTENCE_TASK) != "sop"
        and NEXT_SENTENCE_HEAD in weight_names(folder.network_path)
    ):
        found.add("next_sentence")
    if classifier_kind(folder):
        found.add("classify")
    return frozenset(found)


def require(folder: ModelFolder, outputs: Iterable[str]) -> None:
    """SpecError where the model can't give all of these outputs: which, why not, and what it can give."""
    outputs = list(outputs)
    if unknown := [name for name in outputs if name not in PREDICTIONS]:
        raise SpecError(f"there is no output {unknown[0]!r}: choose among {', '.join(PREDICTIONS)}")
    can = abilities(folder)
    if missing := [name for name in outputs if name not in can]:
        raise _refusal(folder, missing, can)


def _refusal(folder: ModelFolder, missing: list[str], can: frozenset[str]) -> SpecError:
    reasons = dict.fromkeys(_reason(folder, name) for name in missing)
    return SpecError(
        f"{folder.path} can't give {' and '.join(missing)}: {'; '.join(reasons)}. "
        f"It can give {', '.join(name for name in PREDICTIONS if name in can and name not in EMBEDDINGS[1:])}"
    )


def _architecture(folder: ModelFolder) -> str:
    return str((folder.config.get("architectures") or [""])[0])


def _reason(folder: ModelFolder, output: str) -> str:
    """Why the model can't give the output, and which model could."""
    if output in MASKED:
        return _without_masks(folder)
    family, carrier = folder.model_type or "this network", _carrier(folder)
    if output == "next_sentence":
        if folder.config.get(SENTENCE_TASK) == "sop":
            return f"{carrier} was trained on the order of sentences, not on whether one follows another"
        if family == "bert":
            return f"{carrier} carries no next-sentence head: choose one whose config.json says BertForPreTraining"
        if family == "albert":
            return "albert was trained on the order of sentences, not on whether one follows another"
        return f"{family} was trained without next-sentence prediction"
    if _architecture(folder).endswith(CLASSIFIERS):
        return f"{carrier} classifies by its decoder, and encoders alone are run: choose a family without a decoder"
    kinds = ", ".join(f"...{kind}" for kind in CLASSIFIERS)
    return f"{carrier} carries no classification head: choose one whose config.json says {kinds}"


def _without_masks(folder: ModelFolder) -> str:
    family = folder.model_type or "this network"
    if family in DECODERS or _architecture(folder).endswith(LEFT_TO_RIGHT):
        return f"{family} reads from left to right and has no mask"
    if family in SPAN_WRITERS:
        return f"{family} was trained to write spans of text, its encoder alone fills no masks"
    if family not in MASK_HEADS:
        return f"no masked-language-model head of {family} is known here: choose among {', '.join(MASK_HEADS)}"
    if family == "electra":
        return f"{_carrier(folder)} is a discriminator, which fills no masks: choose the generator, ElectraForMaskedLM"
    remedies = {"bert": "BertForMaskedLM or BertForPreTraining"}
    remedy = remedies.get(family, "...ForMaskedLM")
    return f"{_carrier(folder)} carries no masked-language-model head: choose one whose config.json says {remedy}"


def _carrier(folder: ModelFolder) -> str:
    return f"this folder's {_architecture(folder) or folder.model_type or 'network'}"
