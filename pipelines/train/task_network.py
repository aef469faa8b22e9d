"""The network of a fine-tuning on one worker: an encoder with a head, put on its device, set for its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.learning_spec import TrainPool
from pipelines.model.device import pick_device, pick_precision
from pipelines.model.finetuning import FinetuningModel
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.learning import may_pack
from pipelines.model.task_network import first_task_network
from pipelines.store.models import fetch
from pipelines.store.user_code import put_on_path

if TYPE_CHECKING:
    from pipelines.train.finetune_course import FinetuneCourse


@dataclass(frozen=True)
class MadeTaskNetwork:
    """The network, the folder that it began with, and what whoever trains should know of how it was made."""

    model: FinetuningModel
    remarks: tuple[str, ...]
    new: tuple[str, ...] = ()
    """Parts that the folder lacks, in words."""


def folder_of(course: FinetuneCourse) -> ModelFolder:
    """The model's folder on this node, fetched if it is not here."""
    return read_folder(fetch(course.model, course.storage))


def make_task_network(course: FinetuneCourse, pool: TrainPool) -> MadeTaskNetwork:
    """The same network on every worker, with its first weights. SpecError where it can't be made."""
    spec = course.spec
    if course.code:
        put_on_path(course.code, spec.model_class.rpartition(".")[0])
    begun = first_task_network(folder_of(course), spec, course.labels, course.class_counts)
    device = pick_device(pool.device)
    packed = may_pack(device, pick_precision(spec.precision, device), own_class=bool(spec.model_class))
    model = begun.model(device, packed=packed)
    if pool.activation_checkpointing:
        model.compute_activations_again()
    if pool.compile:
        model.compile_network()
    new = (f"{spec.model} lacks the {' and the '.join(begun.new)}: made anew",) if begun.new else ()
    left = (f"not trained: the {' and the '.join(begun.left_out)} of {spec.model}",) if begun.left_out else ()
    return MadeTaskNetwork(model, (*new, *left, *model.remarks), begun.new)
