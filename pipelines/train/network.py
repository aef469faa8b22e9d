"""The network of a training on one worker: made from what it begins with, put on its device, set for its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pipelines.learning_spec import TrainPool
from pipelines.model.device import pick_device, pick_precision
from pipelines.model.first_weights import ALL_WEIGHTS, TOKEN_HEAD, first_weights
from pipelines.model.learning import LearningModel, may_pack
from pipelines.model.own_network import check_own_network
from pipelines.model.pretraining import PretrainingModel
from pipelines.pretrain_spec import Objective
from pipelines.store.user_code import put_on_path

if TYPE_CHECKING:
    from pipelines.train.pretrain_course import PretrainCourse


@dataclass(frozen=True)
class MadeNetwork:
    """The network, and what whoever trains should know of how it was made, a line each."""

    model: PretrainingModel
    remarks: tuple[str, ...]
    has_new_head: bool
    """Whether what tells tokens begins anew."""


def make_network(course: PretrainCourse, pool: TrainPool) -> MadeNetwork:
    """The same network on every worker, with its first weights. SpecError where it can't be made."""
    spec = course.spec
    objective: Objective = spec.objective  # type: ignore[assignment]  # settled before the start
    if course.code:
        put_on_path(course.code, spec.model_class.rpartition(".")[0])
    begun = first_weights(
        course.beginning.architecture(course.storage),
        objective,
        seed=spec.seed,
        dropout=spec.dropout,
        model_class=spec.model_class,
        trust_remote_code=spec.trust_remote_code,
    )
    device = pick_device(pool.device)
    if spec.model_class:
        check_own_network(PretrainingModel(begun.module, objective))
    packed = may_pack(device, pick_precision(spec.precision, device), own_class=bool(spec.model_class))
    model = PretrainingModel(begun.module.to(device), objective, packed=packed)
    if pool.activation_checkpointing:
        model.compute_activations_again()
    if pool.compile:
        model.compile_network()
    has_new_head = any(name in begun.new for name in (*TOKEN_HEAD.values(), ALL_WEIGHTS))
    remarks = (*_remarks(course, begun.new, begun.left_out), *model.remarks)
    return MadeNetwork(model, remarks, has_new_head)


def facts_of(model: LearningModel) -> dict[str, str | int]:
    """What a worker says of itself."""
    device = model.device
    return {
        "device": device.type,
        "chip": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        "path": model.path,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }


def _remarks(course: PretrainCourse, new: tuple[str, ...], left_out: tuple[str, ...]) -> tuple[str, ...]:
    """What is told of a checkpoint that lacks parts, or has some too many. Weights that are all new were asked for."""
    if course.beginning.model is None:
        return ()
    name = course.beginning.name
    remarks = [f"{name} lacks the {' and the '.join(new)}: made anew"] if new else []
    return (*remarks, *([f"not trained: the {' and the '.join(left_out)} of {name}"] if left_out else []))
