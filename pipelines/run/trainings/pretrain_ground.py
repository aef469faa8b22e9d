"""What a pretraining stands on: its instances, what it begins with, and its output, looked at before Ray starts."""

from __future__ import annotations

from pipelines.errors import SpecError
from pipelines.fingerprint import canonical
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.beginning import Begun, begin
from pipelines.run.trainings.training_ground import About, TrainingGround, check_apart, check_batch
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.store.instances import InstanceOutput
from pipelines.store.location import locate
from pipelines.store.output import expand
from pipelines.store.training_output import TrainingSpec, instances_hash
from pipelines.train.health import HealthWatch
from pipelines.train.pretrain_course import PretrainCourse
from pipelines.train.row_groups import list_row_groups


def survey(order: TrainingOrder, spec: PretrainSpec, pool: TrainPool) -> TrainingGround:
    """Read what instances say of themselves, find what the training begins with, and look at the output.

    Raises SpecError where the request can't be done.
    """
    check_batch(spec, pool)
    instances = InstanceOutput.open(order.instances, order.storage)
    begun = begin(order, spec, instances)
    agreed = TrainingSpec.of(begun.spec, _model(begun), _instances(instances))
    output = locate(expand(order.output, agreed.fingerprint), order.storage)
    check_apart(output, [("instances", instances.location.uri), ("model", begun.local_model)])
    output.check_output()
    course = _course(order, begun, instances)
    local = [instances.location.path] if instances.location.is_local else []
    return TrainingGround(
        course=course,
        pool=pool,
        output=output,
        agreed=agreed,
        about=_about(course, instances),
        resume=order.resume,
        local_inputs=tuple(filter(None, (*local, begun.local_model))),
    )


def _course(order: TrainingOrder, begun: Begun, instances: InstanceOutput) -> PretrainCourse:
    keys = [part.key for part in instances.parts if part.num_rows]
    if not keys:
        raise SpecError(
            f"{instances.location} holds no instances to train on: look at its report for what became of the documents"
        )
    beside = [part.held_out for part in instances.parts if part.held_out]
    return PretrainCourse(
        spec=begun.spec,
        beginning=begun.beginning,
        tokenizer=instances.tokenizer,
        max_seqlen=int(instances.spec.spec["max_seqlen"]),
        train=list_row_groups(instances.location, keys),
        held_out=list_row_groups(instances.location, beside),
        storage=order.storage,
        code=begun.code,
    )


def _about(course: PretrainCourse, instances: InstanceOutput) -> About:
    return About(
        job="pretrain",
        begins_with=course.beginning.name,
        objective=course.spec.objective,
        corpus=str(instances.location),
        num_instances=course.train.num_instances,
        num_held_out=course.held_out.num_instances,
        global_batch=course.spec.global_batch,
        max_steps=course.spec.max_steps,
        made_of={
            "instances": str(instances.location),
            "instances to learn from": course.train.num_instances,
            "instances held out": course.held_out.num_instances,
            "objective": course.spec.objective,
            "tokens of an instance, at most": course.max_seqlen,
            "tokenizer": course.tokenizer.reference,
        },
        spec=canonical(course.spec),
        watch=lambda facts: HealthWatch(float(facts.get("unigram_entropy", 0.0))),
    )


def _model(begun: Begun) -> dict[str, str]:
    return {"reference": begun.beginning.name, "hash": begun.beginning.hash}


def _instances(instances: InstanceOutput) -> dict[str, str]:
    digest = instances_hash(instances.spec.fingerprint, ((part.key, part.num_rows) for part in instances.parts))
    return {"reference": str(instances.location), "hash": digest}
