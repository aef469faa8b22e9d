"""A classifier held against labelled examples on the cluster: what its folder says decides the task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import ray

from pipelines.errors import SpecError, StoreError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.finetune_spec import LABELLED, FinetuneSpec, Task
from pipelines.learning_spec import TrainPool
from pipelines.model.folder import ModelFolder
from pipelines.model.labels import Labels, read_labels
from pipelines.run.cluster import cluster_resources
from pipelines.run.display import Mode
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation
from pipelines.run.evaluations.means import Means
from pipelines.run.finetune.examples import make_evaluation
from pipelines.run.order import new_run_id
from pipelines.run.phases import Phases
from pipelines.run.progress import Progress
from pipelines.run.reach import require_shared
from pipelines.run.trainings.beginning import own_class
from pipelines.run.trainings.crew import crew_for
from pipelines.run.trainings.desk import open_desk
from pipelines.spec import EncodePool
from pipelines.store.models import ModelReference
from pipelines.train.finetune_course import FinetuneCourse
from pipelines.train.row_groups import list_row_groups
from pipelines.train.scores.task_pictures import task_pictures
from pipelines.train.scores.tasks import task_details
from pipelines.train.task_evaluation import Judged

EXAMPLES = "_manta/examples"
"""Folder of the output that holds the examples."""
PROBLEMS: dict[str, Task] = {
    "single_label": "classification",
    "multi_label": "multi_label",
    "regression": "regression",
}
KINDS: dict[str, Task] = {"token": "token_classification", "answer": "question_answering"}
POLL_SECONDS = 0.25


def task_of(folder: ModelFolder) -> tuple[Task, Labels]:
    """What a classifier's folder says that it tells. SpecError where it tells several values."""
    labels = read_labels(folder)
    task = KINDS.get(labels.kind) or PROBLEMS[labels.problem]
    if task == "regression" and len(labels.names) > 1:
        raise SpecError(f"{folder.path} tells {len(labels.names)} values, and a metric is of one: choose another model")
    return task, labels


def finetune_spec(order: EvaluationOrder, spec: EvaluationSpec, task: Task, labels: Labels) -> FinetuneSpec:
    """The same as a fine-tuning of this model has it, so that examples are made, and told, as there."""
    return FinetuneSpec(
        model=order.model, task=task, text=spec.text, text_pair=spec.text_pair, label=spec.label, id=spec.id,
        labels=list(labels.names) if task in LABELLED else [], separator=spec.separator, max_seqlen=spec.max_seqlen,
        stride=spec.stride, precision=spec.precision, model_class=spec.model_class,
        trust_remote_code=spec.trust_remote_code,
    )  # fmt: skip


@contextmanager
def in_words_of(spec: EvaluationSpec) -> Iterator[None]:
    """A refusal of a fine-tuning's field names that of the evaluation, which is called the same."""
    try:
        yield
    except SpecError as error:
        raise SpecError(str(error).replace(f"{FinetuneSpec.__name__}.", f"{type(spec).__name__}.")) from error


def evaluate_classifier(
    order: EvaluationOrder,
    spec: EvaluationSpec,
    model: ModelReference,
    folder: ModelFolder,
    means: Means,
) -> tuple[Evaluation, int]:
    """Metrics and pictures of a classifier on an order's data, and the exit code of the run that made examples of them.

    SpecError where the data don't fit the model.
    """
    task, labels = task_of(folder)
    with in_words_of(spec):
        code, _ = own_class(ours := finetune_spec(order, spec, task, labels), means.user_code)
        found = make_evaluation(order.of_texts("data", EXAMPLES), ours, ours.labels, means.cpu, means.begin)
    made = found.output
    examples = list_row_groups(made.location, [part.key for part in made.parts if part.num_rows])
    if not examples.num_instances:
        raise SpecError(f"no example is left of {order.data}: {'; '.join(found.notes)}")
    course = FinetuneCourse(
        spec=replace(ours, max_seqlen=int(made.spec.spec["max_seqlen"])), model=model, class_counts=(),
        id_column=made.spec.columns["id_name"], train=examples, held_out=examples, storage=order.storage, code=code,
    )  # fmt: skip
    means.join()
    local = [made.location.path] if made.location.is_local else []
    local += [model.resolved] if model.kind == "folder" else []
    judged = judged_by_workers(course, pool_of(means.gpu), local, order.progress)
    return evaluation_of(course, judged, found.notes), found.report.exit_code


def pool_of(gpu: EncodePool) -> TrainPool:
    """The workers of an evaluation: as many as encoders are asked for, or one."""
    return TrainPool(
        workers=1 if gpu.max_actors == "auto" else gpu.max_actors,
        num_gpus="auto" if gpu.num_gpus == "auto" else math.ceil(gpu.num_gpus),
        num_cpus=gpu.num_cpus,
        num_threads=gpu.num_threads,
        device=gpu.device,
        token_budget=gpu.token_budget,
        compile=gpu.compile,
    )


def judged_by_workers(course: FinetuneCourse, pool: TrainPool, local: Sequence[str], mode: Mode) -> Judged:
    """What workers on the cluster that Ray has joined find of all that a course holds out.

    SpecError where they can't be placed, StoreError where they fail.
    """
    from pipelines.run.trainings.trainer import launch  # Ray Train
    from pipelines.train.examination import Examination, examine

    crew = crew_for(pool, cluster_resources().beside_training)
    require_shared(output="", inputs=list(local))
    desk = open_desk()
    examination = Examination(course=course, pool=pool, num_threads=crew.num_threads)
    with Progress(mode=mode) as progress:
        Phases(progress).enter("evaluate")
        fit = launch(
            examine, {"examination": examination, "desk": desk}, crew, desk=desk, run=new_run_id(),
            max_failures=pool.max_failures,
        )  # fmt: skip
        while not fit.wait(POLL_SECONDS):
            pass
        fit.raise_error()
    events = ray.get(desk.take.remote())
    found = [event["judged"] for event in events if event["event"] == "judged"]
    if not found:
        raise StoreError("the workers ended without a result: run again, and report it")
    return found[-1]


def evaluation_of(course: FinetuneCourse, judged: Judged, notes: Sequence[str]) -> Evaluation:
    """What was found, with what is behind it, and its pictures."""
    task, told, labels = course.spec.task, judged.told, course.labels
    metrics, details = dict(judged.evaluation.metrics), task_details(task, told, labels)
    counts = {"examples": len(told)}
    if task == "question_answering":
        counts = {"questions": len(set(told.questions.tolist())), "windows": len(told)}
    elif task == "token_classification":
        counts["words"] = len(told.targets)
    return Evaluation(
        task=task,
        metrics=metrics | {f"loss_{name}": value for name, value in judged.evaluation.losses.items()},
        counts=counts,
        by_class=details.by_class,
        notes=(*notes, *details.notes),
        pictures=task_pictures(task, told, metrics, details, labels, course.spec.label),
    )
