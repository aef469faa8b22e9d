"""What a fine-tuning ends with: the model as a folder that others load, and what it came to, as metrics.json."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.model.finetuning import FinetuningModel
from pipelines.model.task_export import export_finetuned
from pipelines.store.location import Location
from pipelines.train.delivery import put_model
from pipelines.train.instance_source import InstanceSource
from pipelines.train.loop import Outcome
from pipelines.train.ranks import Ranks
from pipelines.train.scores.task_pictures import task_pictures
from pipelines.train.scores.tasks import task_details
from pipelines.train.task_evaluation import Judged, TaskEvaluator
from pipelines.train.task_network import folder_of

if TYPE_CHECKING:
    from pipelines.train.finetune_course import FinetuneCourse

METRICS = "metrics.json"


def deliver_task(
    course: FinetuneCourse,
    output: Location,
    model: FinetuningModel,
    evaluator: TaskEvaluator,
    source: InstanceSource,
    ranks: Ranks,
    outcome: Outcome,
) -> Mapping[str, Any]:
    """Evaluate the network on all held-out examples of the source, and put it into the output; what it came to.

    All workers call it, and the first one writes. StoreError where the world fails.
    """
    judged = evaluator.judge(source.held_out(ranks.rank, ranks.world), ranks)
    if not ranks.is_first:
        return {}
    told, pictures = outcome_of(course, evaluator, judged, outcome)
    with tempfile.TemporaryDirectory(prefix="manta-") as aside:
        folder = Path(aside, "model")
        export_finetuned(model, folder, checkpoint=folder_of(course), max_seqlen=int(course.spec.max_seqlen))
        (folder / METRICS).write_text(json.dumps(told, indent=2))
        for name, picture in pictures.items():
            (folder / name).write_bytes(picture)
        put_model(output, folder)
    return told


def outcome_of(
    course: FinetuneCourse, evaluator: TaskEvaluator, judged: Judged | None, outcome: Outcome
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Content of metrics.json, and pictures by name: of which step the weights are, and what is said of them."""
    about = {"task": course.spec.task, "labels": list(course.labels), "weights_of_step": outcome.weights_step}
    if judged is None:
        return about, {}
    found, details = judged.evaluation, task_details(course.spec.task, judged.told, course.labels)
    confusion = {} if details.confusion is None else {"confusion": details.confusion.tolist()}
    spec, labels = course.spec, course.labels
    pictures = task_pictures(spec.task, judged.told, found.metrics, details, labels, spec.label)
    told = {
        **about,
        "metric": evaluator.metric(judged.told),
        "examples": len(judged.told),
        "metrics": dict(found.metrics),
        "losses": dict(found.losses),
        "by_class": details.by_class,
        "notes": list(details.notes),
        **confusion,
        "pictures": list(pictures),
    }
    return told, pictures
