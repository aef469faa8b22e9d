"""The pictures of a task: which classes are taken for which, metrics by class, values told against right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.train.scores.confusion_picture import draw_confusion
from pipelines.train.scores.score_pictures import draw_classes, draw_values, in_words
from pipelines.train.scores.tasks import Details, is_scored
from pipelines.train.scores.told import Told

CONFUSION, CLASSES, VALUES = "confusion.png", "classes.png", "scores.png"
MOST_IN_A_TITLE = 3


def task_pictures(
    task: str, told: Told, scores: Mapping[str, float], details: Details, labels: Sequence[str], label: str = "label"
) -> dict[str, bytes]:
    """PNG by name of the file; nothing for a task, or examples, that there is no picture of.

    ``scores`` are those of ``task_scores``, ``details`` of ``task_details``; ``label`` is the column of what is right.
    """
    shown = dict(list(scores.items())[:MOST_IN_A_TITLE])
    title = ", ".join([f"{len(told):,} examples", *in_words(shown)])
    if details.confusion is not None:
        return {CONFUSION: draw_confusion(details.confusion, labels, title)}
    if details.by_class:
        return {CLASSES: draw_classes(details.by_class, title)}
    if task == "regression" or (task == "embedding" and is_scored(told)):
        name = "cosine" if task == "embedding" else "value told"
        return {VALUES: draw_values(told.predictions, told.targets, scores, (name, label))}
    return {}
