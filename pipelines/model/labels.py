"""What a classifier's numbers stand for, told from its folder's config before anything loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.model.abilities import ClassifierKind, known_classifier_kind
from pipelines.model.folder import ModelFolder

Problem = Literal["single_label", "multi_label", "regression"]
ONE_OF_ALL: Problem = "single_label"
PROBLEMS: dict[str, Problem] = {
    "single_label_classification": ONE_OF_ALL,
    "multi_label_classification": "multi_label",
    "regression": "regression",
}


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The names of a classifier's L numbers, in order, and how they exclude each other.

    A single_label has one of the names, a multi_label any of them; the numbers of a regression are values. Tokens and
    answers are single_label; an answer's two names are those of its ends.
    """

    kind: ClassifierKind
    names: tuple[str, ...]
    problem: Problem = ONE_OF_ALL


def read_labels(folder: ModelFolder) -> Labels:
    """The labels of a folder's classifier, as transformers reads them from its config.

    One label alone that config.json calls no problem_type is a regression, as the model's training has it.
    (Transformers' TextClassificationPipeline then gives the sigmoid of the value.) SpecError where there is no
    classifier, or the config does not say how many labels there are and which.
    """
    kind = known_classifier_kind(folder)
    names = _names(folder)
    if kind == "answer":
        if len(names) != 2:
            raise _unfit(folder, f"{len(names)} labels, an answer has 2 ends", "choose a model that was trained for it")
        return Labels(kind=kind, names=("start", "end"))
    return Labels(
        kind=kind, names=names, problem=_problem(folder, len(names)) if kind == "sequence" else "single_label"
    )


def _names(folder: ModelFolder) -> tuple[str, ...]:
    """id2label in the order of its numbers; where there is none LABEL_0 and so on, as many as num_labels says, else 2.

    Configs of old versions say how many there are and keep two nameless ones beside.
    """
    told = {str(number): str(name) for number, name in (folder.config.get("id2label") or {}).items()}
    count = folder.config.get("num_labels", len(told) or 2)
    if not isinstance(count, int) or count < 1:
        raise _unfit(folder, f"num_labels {count!r}", "write a whole number from 1 on")
    nameless = all(name == f"LABEL_{number}" for number, name in told.items())
    numbers = [str(number) for number in range(count)]
    if not nameless and told.keys() != set(numbers):
        raise _unfit(folder, f"id2label for {', '.join(told)}", f"name each of the {count} labels from 0 on")
    return tuple(f"LABEL_{number}" if nameless else told[number] for number in numbers)


def _problem(folder: ModelFolder, count: int) -> Problem:
    told = folder.config.get("problem_type")
    if told is None:
        return "regression" if count == 1 else "single_label"
    if told not in PROBLEMS:
        raise _unfit(folder, f"problem_type {told!r}", f"write {', '.join(PROBLEMS)}")
    if told == "single_label_classification" and count == 1:
        raise _unfit(folder, f"problem_type {told} and one label", "write regression or multi_label_classification")
    return PROBLEMS[told]


def _unfit(folder: ModelFolder, fact: str, remedy: str) -> SpecError:
    return SpecError(f"{folder.network_path}/config.json has {fact}: {remedy}")
