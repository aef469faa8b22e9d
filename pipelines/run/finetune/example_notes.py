"""Lines for the user on the examples that there are: how many of which class, what can't be used, what leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.example_ground import ExampleGround
from pipelines.run.finetune.label_checks import some, told
from pipelines.run.finetune.label_survey import Ints, LabelSurvey
from pipelines.run.report import Report
from pipelines.text.split import Flags

MOST_NAMED = 8
"""Classes whose numbers are told one by one."""
NAMED_TWINS = 3


def notes_of(
    train: ExampleGround, evaluation: ExampleGround | None, spec: FinetuneSpec, reports: Sequence[Report]
) -> list[str]:
    """What is to be said of examples, in order of their making."""
    tested = evaluation or train
    evaluated = tested.is_evaluated & ~tested.is_left_out
    lines = [
        f"train on {_rows(train.survey, train.is_kept)}",
        f"evaluate on {_rows(tested.survey, evaluated)}" if evaluated.any() else "nothing is evaluated on",
        *_unused(train.survey.faults, "to train on" if evaluation else "of the data"),
        *(_unused(evaluation.survey.faults, "to evaluate on") if evaluation else ()),
        *_lacking(train.survey, train.is_kept, "train"),
        *(_lacking(tested.survey, evaluated, "evaluate") if evaluated.any() else ()),
        *_twin_notes(tested, spec),
        *_cut(reports, int(train.recipe.spec.max_seqlen)),
    ]
    return lines


def evaluation_notes(side: ExampleGround) -> list[str]:
    """What is to be said of examples that are there to evaluate on alone."""
    rows = side.is_evaluated
    return [
        f"evaluate on {_rows(side.survey, rows)}",
        *_unused(side.survey.faults, "of the data"),
        *_lacking(side.survey, rows, "evaluate"),
    ]


def of_classes(names: Sequence[str], counts: Ints) -> str:
    """How many there are of each class, the commonest first; of many classes the most and the fewest."""
    order = np.argsort(-counts, kind="stable").tolist()
    if len(names) > MOST_NAMED:
        most, fewest = order[0], order[-1]
        return (
            f"{len(names):,} classes, from {names[most]!r} ({counts[most]:,}) down to {names[fewest]!r} "
            f"({counts[fewest]:,})"
        )
    return ", ".join(f"{names[one]} {counts[one]:,}" for one in order)


def _rows(survey: LabelSurvey, rows: Flags) -> str:
    number = f"{int(rows.sum()):,} rows"
    return f"{number}: {of_classes(survey.names, survey.counts(rows))}" if survey.names else number


def _unused(faults: Counter[str], what: str) -> Iterator[str]:
    if faults:
        yield f"{faults.total():,} rows {what} can't be used, and are dead letters: {told(faults)}"


def _lacking(survey: LabelSurvey, rows: Flags, what: str) -> Iterator[str]:
    """Classes of which there is nothing."""
    counts = survey.counts(rows)
    names = [name for name, count in zip(survey.names, counts.tolist(), strict=True) if not count]
    if names:
        yield f"no row to {what} on has the class {some(names)}"


def _twin_notes(tested: ExampleGround, spec: FinetuneSpec) -> Iterator[str]:
    """Rows to evaluate on whose text is trained on."""
    places = np.flatnonzero(tested.is_twin)
    if not len(places):
        return
    ids = ", ".join(tested.survey.names_of(places[:NAMED_TWINS].tolist()))
    if spec.twins == "drop":
        yield f"of the rows to evaluate on {len(places):,} left out, whose text is trained on (such as id {ids})"
        if tested.has_new_twins:
            yield (
                "some of these are new, and what an earlier run made of them stays: name another folder with --examples"
            )
    else:
        yield (
            f"of the rows to evaluate on {len(places):,} with a text that is trained on too (such as id {ids}), so "
            "that the model seems better than it is: write --spec.twins drop to leave out what is such"
        )


def _cut(reports: Sequence[Report], max_seqlen: int) -> Iterator[str]:
    """Of what these runs made: how much of it was too long."""
    truncated, rows = sum(report.truncated for report in reports), sum(report.documents for report in reports)
    if truncated:
        yield f"{truncated:,} texts of {rows:,} rows were longer than {max_seqlen} tokens, and cut there"
    for name, what in (("untold_words", "words are beyond that, or have no token"),
                       ("untold_answers", "answers are in no window as a whole")):  # fmt: skip
        if number := sum((report.examples or {}).get(name, 0) for report in reports):
            yield f"{number:,} {what}, so that nobody is asked for them"
