"""The network that a fine-tuning begins with: an encoder's weights, and a head for the task, drawn from a seed.

An encoder is any folder that embeds: a plain one, one of sentence-transformers, one that was pretrained here (its heads
are left out), or one that was fine-tuned before, whose head stays where it tells the same labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pipelines.errors import MantaError, SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.model.abilities import SPAN_WRITERS, classifier_kind
from pipelines.model.finetuning import KINDS, FinetuningModel
from pipelines.model.first_weights import DROPOUTS, SENTENCE_HEADS, is_below
from pipelines.model.folder import ModelFolder
from pipelines.model.freezing import freeze
from pipelines.model.hugging_face import ENCODER_HALVES, set_attention
from pipelines.model.labels import ONE_OF_ALL, read_labels
from pipelines.model.lesson import Lesson
from pipelines.model.refusal import MAX_REASON
from pipelines.model.sentence_head import SentenceHead, sentence_head
from pipelines.model.task_trial import check_own_class, still_idle_weights
from pipelines.model.user_class import user_class

MAKERS = {
    "sequence": "AutoModelForSequenceClassification",
    "token": "AutoModelForTokenClassification",
    "answer": "AutoModelForQuestionAnswering",
}
PROBLEMS = {
    "classification": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
"""What transformers' config calls a task; those of tokens and of answers have no name there."""
POOLER = "pooler"
HEADS = {
    "classification": "classification head",
    "multi_label": "classification head",
    "regression": "regression head",
    "token_classification": "tagging head",
    "question_answering": "question-answering head",
}
PARTS = {
    **dict.fromkeys(SENTENCE_HEADS, "sentence-order head"),
    **dict.fromkeys(("predictions", "lm_head", "lm_predictions", "vocab_transform", "vocab_layer_norm",
                     "vocab_projector", "generator_predictions", "generator_lm_head"), "language-model head"),
    "discriminator_predictions": "discriminator head",
    "decoder": "decoder",
}  # fmt: skip
"""What folders have beside the network, by a part of the weights' names."""
HEAD_DROPOUTS = ("classifier_dropout", "seq_classif_dropout", "qa_dropout", "pooler_dropout", "summary_first_dropout",
                 "summary_last_dropout")  # fmt: skip
"""What the families call the dropout of their heads, beside ``DROPOUTS``."""


@dataclass(frozen=True, kw_only=True)
class TaskNetwork:
    """A module of transformers in float32 with a head for a lesson's task, or what makes vectors of its vectors.

    ``new`` are the parts that are drawn, ``left_out`` those of the folder that have no place in it, in words.
    """

    module: Any
    lesson: Lesson
    sentence_head: SentenceHead | None = None
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def model(self, device: torch.device, *, packed: bool = False) -> FinetuningModel:
        """It as it learns, on a device."""
        return FinetuningModel(self.module.to(device), self.lesson, sentence_head=self.sentence_head, packed=packed)


def first_task_network(
    folder: ModelFolder, spec: FinetuneSpec, labels: Sequence[str], class_counts: Sequence[int] = ()
) -> TaskNetwork:
    """The network for a spec's task with these classes, of which the training data have so many examples each.

    A ``model_class`` has the task's head (an heir of BertForSequenceClassification, say), or for embedding is the
    network alone (of BertModel). Weights that no loss depends on, such as a pooler that is passed by, learn nothing.
    What is drawn is a function of the seed; torch's own state stays. SpecError where the folder's family has no such
    head, where it does not load or lacks weights of its network, has not as many layers as are to be frozen, or where a
    class of the user's own does not serve.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what is new or left out is told here
    _check_family(folder, spec)
    lesson = Lesson.of(spec, labels, class_counts)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(spec.seed)
            module, new, left_out = _loaded(folder, spec, labels)
    except MantaError:
        raise
    except Exception as error:  # transformers lets through whatever a config or a file leads to
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:MAX_REASON]
        raise SpecError(f"{folder.path} makes no network for {spec.task} ({told}): choose another model") from error
    freeze(module.base_model, spec.frozen_layers)
    made = TaskNetwork(module=module, lesson=lesson, new=new, left_out=left_out)
    made = _embedding(made, folder) if spec.task == "embedding" else made
    _try(made, spec)
    return made


def _check_family(folder: ModelFolder, spec: FinetuneSpec) -> None:
    """Heads of texts and of answers read a decoder's vectors where a family has one."""
    has_decoder = folder.model_type in SPAN_WRITERS or bool(folder.config.get("is_encoder_decoder"))
    if has_decoder and KINDS.get(spec.task) in ("sequence", "answer"):
        raise SpecError(
            f"a {folder.model_type} network has a head for {spec.task} at its decoder alone, and encoders alone are "
            "trained: choose a family without a decoder"
        )


def _loaded(folder: ModelFolder, spec: FinetuneSpec, labels: Sequence[str]) -> tuple[Any, tuple[str, ...],
                                                                                     tuple[str, ...]]:  # fmt: skip
    """The module, and the names of what is new in it and of what is left out."""
    maker = _maker(folder, spec)
    config = _config(folder, spec, labels, maker)
    module, info = maker.from_pretrained(
        folder.network_path, config=config, dtype=torch.float32, local_files_only=True,
        trust_remote_code=spec.trust_remote_code, output_loading_info=True, ignore_mismatched_sizes=True,
    )  # fmt: skip
    mismatched = {str(name) for name, *_ in info["mismatched_keys"]}
    missing = {str(name) for name in info["missing_keys"]}
    if wrong := sorted(name for name in missing | mismatched if is_below(name, module)):
        raise SpecError(
            f"{folder.network_path} lacks {len(wrong)} weights such as {wrong[0]}, or has them in other shapes than "
            "its config.json tells of: fetch the model again"
        )
    new = missing | mismatched
    if classifier_kind(folder) and spec.task in KINDS and not _keeps_head(folder, spec, labels):
        new |= _draw_head(module, config)
    return module, _parts(new, spec), _parts(info["unexpected_keys"], spec)


def _maker(folder: ModelFolder, spec: FinetuneSpec) -> Any:
    """Who makes the module: a class of the user's own, with a head where the task asks for one, or transformers'."""
    import transformers

    if not spec.model_class:
        name = MAKERS[KINDS[spec.task]] if spec.task in KINDS else ENCODER_HALVES.get(folder.model_type, "AutoModel")
        return getattr(transformers, name)
    return user_class(spec.model_class)


def _config(folder: ModelFolder, spec: FinetuneSpec, labels: Sequence[str], maker: Any) -> Any:
    from transformers import AutoConfig

    trusted = {"local_files_only": True, "trust_remote_code": spec.trust_remote_code}
    own = getattr(maker, "config_class", None)
    if own:
        config = own.from_pretrained(folder.network_path, local_files_only=True)
    elif "model_type" not in folder.config:
        config = AutoConfig.for_model(folder.model_type, **folder.config)
    else:
        config = AutoConfig.from_pretrained(folder.network_path, **trusted)
    if spec.task in KINDS:
        names = config_labels(spec, labels)
        config.id2label, config.label2id = dict(enumerate(names)), {name: n for n, name in enumerate(names)}
        config.problem_type = PROBLEMS.get(spec.task)
    if getattr(config, "pad_token_id", None) is None:  # heads that read the last token look for padding behind it
        ends = config.eos_token_id if isinstance(getattr(config, "eos_token_id", None), int) else 0
        config.pad_token_id = ends
    for name in {*DROPOUTS, *HEAD_DROPOUTS} if spec.dropout != "auto" else ():
        if hasattr(config, name):
            setattr(config, name, spec.dropout)
    return config


def config_labels(spec: FinetuneSpec, labels: Sequence[str]) -> tuple[str, ...]:
    """Names of a head's numbers: the classes, the column of a value, or the ends of an answer."""
    if spec.task == "regression":
        return (spec.label,)
    return ("start", "end") if spec.task == "question_answering" else tuple(labels)


def _keeps_head(folder: ModelFolder, spec: FinetuneSpec, labels: Sequence[str]) -> bool:
    """Whether the folder has a head, and it is for the same task and labels."""
    if classifier_kind(folder) != KINDS[spec.task]:
        return False
    held = read_labels(folder)
    if spec.task in ("regression", "question_answering"):  # values and ends have no names to differ in
        return held.problem == "regression" or spec.task == "question_answering"
    return held.names == tuple(labels) and PROBLEMS.get(spec.task, ONE_OF_ALL).startswith(held.problem)


def _draw_head(module: Any, config: Any) -> set[str]:
    """Put weights that are drawn where the head is; their names."""
    drawn = type(module)(config).state_dict()
    inside = f"{module.base_model_prefix}."
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(inside)}
    for name, tensor in own.items():
        tensor.copy_(drawn[name])
    return set(own)


def _embedding(made: TaskNetwork, folder: ModelFolder) -> TaskNetwork:
    """With what makes vectors of the network's; its pooler, which they do not pass, learns nothing."""
    pooler = getattr(made.module, "pooler", None)
    if pooler is not None and POOLER in made.new:
        made.module.pooler = None
    elif pooler is not None:
        pooler.requires_grad_(False)
    new = tuple(name for name in made.new if name != POOLER)
    return replace(made, sentence_head=sentence_head(folder), new=new)


def _try(made: TaskNetwork, spec: FinetuneSpec) -> None:
    """Leave out of learning what no loss depends on; a class of the user's own is held to more."""
    attention = made.module.config._attn_implementation
    model = made.model(torch.device("cpu"))
    if spec.model_class:
        check_own_class(model)
    idle = still_idle_weights(model)
    set_attention(model.network.module, attention)
    if spec.model_class and idle:
        raise SpecError(
            f"{spec.model_class} has {len(idle)} weights that no loss depends on, such as "
            f"{idle[0].partition('.')[2]}: leave them out, or set their requires_grad to False"
        )


def _parts(names: Iterable[str], spec: FinetuneSpec) -> tuple[str, ...]:
    """The parts that weights belong to, in words, each once."""
    return tuple(dict.fromkeys(_part(name, spec) for name in sorted(names) if not name.endswith("position_ids")))


def _part(name: str, spec: FinetuneSpec) -> str:
    places = set(name.split("."))
    if POOLER in places:
        return POOLER
    return next((words for part, words in PARTS.items() if part in places), HEADS.get(spec.task, "head"))
