"""What a fine-tuning stands on: its examples, the encoder it begins with, its output: before any worker starts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from pipelines.errors import SpecError
from pipelines.finetune_spec import LABELLED, FinetuneSpec
from pipelines.fingerprint import canonical
from pipelines.learning_spec import TrainPool
from pipelines.run.finetune.examples import MadeExamples
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.trainings.beginning import own_class, with_class
from pipelines.run.trainings.training_ground import About, TrainingGround, check_apart, check_batch
from pipelines.spec import Storage
from pipelines.store.instances import InstanceOutput
from pipelines.store.location import Location, locate
from pipelines.store.models import ModelReference, identify
from pipelines.store.output import FINGERPRINT, expand
from pipelines.store.training_output import TrainingSpec, instances_hash
from pipelines.train.checkpoints import committed_steps
from pipelines.train.finetune_course import FinetuneCourse
from pipelines.train.finetune_health import FinetuneWatch
from pipelines.train.row_groups import RowGroups, list_row_groups
from pipelines.train.scores.names import chosen_metric

PIPELINES = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "token_classification": "token-classification",
    "question_answering": "question-answering",
    "embedding": "sentence-similarity",
}
"""Pipeline of transformers by task."""


def check_request(order: FinetuneOrder, spec: FinetuneSpec, pool: TrainPool) -> None:
    """SpecError where a training can't be done, as far as that is known before there are examples."""
    check_batch(spec, pool)
    chosen_metric(spec.metric, spec.task, scored=bool(spec.label))
    if FINGERPRINT in order.output:
        return
    output = locate(order.output, order.storage)
    output.check_output()
    newest = max(committed_steps(output), default=None)
    if newest is not None and not order.resume:
        raise SpecError(
            f"{output} has a checkpoint of step {newest:,}: go on from it with --resume, or name another --output"
        )


def survey(order: FinetuneOrder, spec: FinetuneSpec, pool: TrainPool, made: MadeExamples) -> TrainingGround:
    """Find the examples' files and the encoder, and look at the output. SpecError where the request can't be done."""
    check_batch(spec, pool)
    model = identify(spec.model, order.storage, trust_remote_code=spec.trust_remote_code)
    code, class_hash = own_class(spec, order.user_code)
    settled = replace(
        spec,
        labels=list(made.labels) if spec.task in LABELLED else [],
        max_seqlen=int(made.train.spec.spec["max_seqlen"]),
    )
    began = {"reference": spec.model, "hash": with_class(model.hash, class_hash)}
    agreed = TrainingSpec.of(settled, began, _instances(made))
    output = locate(expand(order.output, agreed.fingerprint), order.storage)
    local = _local(order, made, model)
    check_apart(output, _inputs(order, model))
    output.check_output()
    train, held_out = _row_groups(made)
    course = FinetuneCourse(
        spec=settled, model=model, class_counts=made.class_counts, id_column=made.train.spec.columns["id_name"],
        train=train, held_out=held_out, storage=order.storage, code=code,
    )  # fmt: skip
    return TrainingGround(
        course=course, pool=pool, output=output, agreed=agreed, about=_about(course, order, made),
        resume=order.resume, local_inputs=tuple(local),
    )  # fmt: skip


def _row_groups(made: MadeExamples) -> tuple[RowGroups, RowGroups]:
    """Examples to train on, and to evaluate on."""
    keys = [part.key for part in made.train.parts if part.num_rows]
    if not keys:
        raise SpecError(
            f"{made.train.location} holds no examples to train on: look at its report for what became of the rows"
        )
    train = list_row_groups(made.train.location, keys)
    if made.evaluation:
        others = [part.key for part in made.evaluation.parts if part.num_rows]
        return train, list_row_groups(made.evaluation.location, others)
    return train, list_row_groups(made.train.location, [part.held_out for part in made.train.parts if part.held_out])


def _instances(made: MadeExamples) -> dict[str, str]:
    """The examples as a training's spec tells of them: those to train on, and those that its best is chosen by."""
    digests = [_hash(output) for output in (made.train, made.evaluation) if output]
    both = hashlib.sha256("\0".join(digests).encode()).hexdigest() if len(digests) > 1 else digests[0]
    return {"reference": str(made.train.location), "hash": both}


def _hash(output: InstanceOutput) -> str:
    return instances_hash(output.spec.fingerprint, ((part.key, part.num_rows) for part in output.parts))


def _inputs(order: FinetuneOrder, model: ModelReference) -> list[tuple[str, str]]:
    places = [place for data in (order.train_data, order.eval_data) for place in _places(data, order.storage)]
    return [*(("data", place.uri) for place in places), ("model", model.resolved if model.kind == "folder" else "")]


def _places(data: str | list[str], storage: Storage) -> list[Location]:
    """Where data are; nowhere where none are named."""
    return [locate(name, storage) for name in ([data] if isinstance(data, str) else data) if name]


def _local(order: FinetuneOrder, made: MadeExamples, model: ModelReference) -> list[str]:
    """Paths of examples and model that are on a disk."""
    outputs = [output.location for output in (made.train, made.evaluation) if output]
    return [*(place.path for place in outputs if place.is_local), *([model.resolved] if model.kind == "folder" else [])]


def _about(course: FinetuneCourse, order: FinetuneOrder, made: MadeExamples) -> About:
    spec, recipe = course.spec, course.recipe
    data, others = (", ".join(map(str, _places(one, order.storage))) for one in (order.train_data, order.eval_data))
    share = f"{spec.eval_share:.0%} of the same, by the hash of {'the group' if spec.group else 'the id'}"
    told: dict[str, Any] = {
        "task": spec.task,
        "data": data,
        "examples to learn from": course.train.num_instances,
        "evaluated on": others or (share if course.held_out.num_instances else "nothing"),
        "examples to evaluate on": course.held_out.num_instances,
        "tokens of an example, at most": spec.max_seqlen,
    }
    if made.labels:
        told["labels"] = ", ".join(made.labels)
    return About(
        job="finetune",
        begins_with=spec.model,
        objective=spec.task,
        corpus=data,
        num_instances=course.train.num_instances,
        num_held_out=course.held_out.num_instances,
        global_batch=spec.global_batch,
        max_steps=recipe.pace.max_steps,
        made_of=told,
        spec=canonical(spec),
        watch=lambda facts: FinetuneWatch(),
        pipeline=PIPELINES[spec.task],
        evaluated_on=others or f"{data}: {share}",
        remarks=made.notes,
    )
