"""What a network is taught by fine-tuning, beside the examples themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import SpecError
from pipelines.finetune_spec import LABELLED, FinetuneSpec, Task

ANSWER_ENDS = 2
"""Logits of a token as the start and the end of an answer."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A task, how many logits it has, and how its loss is made."""

    task: Task
    num_logits: int
    """Of an example or a token; 0: there are vectors in their place."""
    class_weights: tuple[float, ...] = ()
    """What an example of each class counts; (): all the same, 1."""
    label_smoothing: float = 0.0
    temperature: float = 0.05
    is_contrastive: bool = False
    """Whether texts are told from each other, rather than a score."""

    @classmethod
    def of(cls, spec: FinetuneSpec, labels: Sequence[str], class_counts: Sequence[int] = ()) -> Lesson:
        """That of a spec whose classes are ``labels``, of which the training data have so many examples each.

        SpecError where classes are to count alike and one has no example.
        """
        others = {"regression": 1, "question_answering": ANSWER_ENDS, "embedding": 0}
        weights = balanced(class_counts, labels) if spec.class_weights == "balanced" else ()
        return cls(
            task=spec.task,
            num_logits=len(labels) if spec.task in LABELLED else others[spec.task],
            class_weights=weights,
            label_smoothing=spec.label_smoothing,
            temperature=spec.temperature,
            is_contrastive=spec.is_contrastive,
        )


def balanced(counts: Sequence[int], labels: Sequence[str]) -> tuple[float, ...]:
    """Of each class n / (L * n_c): n examples (or tokens) in all, n_c of the class, L classes.

    Over the training data their mean is 1, so that a sum of weighted losses is divided by a plain count. The rule is
    scikit-learn's (King and Zeng 2001). SpecError where a class has none.
    """
    if empty := [label for label, count in zip(labels, counts, strict=True) if not count]:
        raise SpecError(
            f"class {empty[0]!r} has no example to train on: write class_weights equal, or leave it out of labels"
        )
    return tuple(sum(counts) / (len(counts) * count) for count in counts)
