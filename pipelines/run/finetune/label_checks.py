"""What is wrong with labelled data as a whole: told with column, value and remedy, before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import SpecError
from pipelines.finetune_spec import LABELLED, FinetuneSpec
from pipelines.spec import refuse
from pipelines.stages.answer_labels import is_answers
from pipelines.stages.class_labels import is_class, is_list
from pipelines.store.columns import is_text

MOST_CLASSES = 10_000
"""More than that are no classes: each is a row of the head's weights, and a name in the model's config."""
SOME = 5
"""Names that a message tells of many."""


def check_shards(spec: FinetuneSpec, shards: Sequence[tuple[str, pa.Schema]], *, with_group: bool = True) -> None:
    """SpecError where no shard has the columns that the spec names, or the first that does has others' types in them.

    Shards are named by their paths. ``with_group``: whether the column of groups is needed.
    """
    wanted = {name for names in _named(spec, with_group).values() for name in names}
    fitting = [(shard, schema) for shard, schema in shards if wanted <= set(schema.names)]
    for shard, schema in (fitting or shards)[:1]:
        check_columns(spec, schema, shard, with_group=with_group)


def check_columns(spec: FinetuneSpec, schema: pa.Schema, shard: str, *, with_group: bool = True) -> None:
    """SpecError where a shard lacks a column that the spec names, or a column has a type of another task."""
    for field, names in _named(spec, with_group).items():
        for name in names:
            if schema.names.count(name) != 1:
                has = "several columns" if name in schema.names else "no column"
                refuse(spec, field, f"{shard} has {has} {name!r} (its columns: {', '.join(schema.names)})")
    for field, what in (("text", "a text"), ("text_pair", "a text"), ("negatives", "a negative")):
        for name in _named(spec, with_group)[field]:
            check_text_type(spec, field, name, schema.field(name).type, what)
    if spec.group and spec.group == spec.label:
        refuse(spec, "group", "the labels are no groups: each class would be on one side of the split alone")
    if spec.label:
        check_label_type(spec, schema.field(spec.label).type)


def check_text_type(spec: FinetuneSpec, field: str, name: str, kind: pa.DataType, what: str) -> None:
    """SpecError where a column of texts holds none; of token_classification they are lists of words."""
    are_words = spec.task == "token_classification"
    if pa.types.is_null(kind) or (is_list(kind) and is_text(kind.value_type) if are_words else is_text(kind)):
        return
    wanted = "words are lists of strings" if are_words else f"{what} is a string"
    refuse(spec, field, f"column {name!r} is {kind}, and {wanted}")


def _named(spec: FinetuneSpec, with_group: bool) -> dict[str, list[str]]:
    """The columns that a spec names, by its field. One named "id" need not be there."""
    return {
        "text": spec.texts,
        "text_pair": spec.pairs,
        "negatives": list(spec.negatives),
        "label": [spec.label] if spec.label else [],
        "group": [spec.group] if spec.group and with_group else [],
        "id": [spec.id] if spec.id != "id" else [],
    }


def check_label_type(spec: FinetuneSpec, kind: pa.DataType) -> None:
    """SpecError where labels of this type are none of the spec's task."""
    if pa.types.is_null(kind):
        return  # nothing is known of it: another shard may tell
    inner = kind.value_type if is_list(kind) else kind
    remedies = {
        "classification": "a label is a string, an integer or a boolean",
        "multi_label": "labels are lists of strings or integers, one list a text",
        "token_classification": "tags are lists of strings or integers, one tag a word",
        "regression": "a value is a number",
        "embedding": "a score is a number",
        "question_answering": 'answers are {"text": [...], "answer_start": [...]}',
    }
    if _fits(spec.task, kind):
        return
    more = ""
    if spec.task == "classification" and is_list(kind):
        more = "; write --spec.task multi_label, where a text may have several"
    elif spec.task in LABELLED and (pa.types.is_floating(inner) or pa.types.is_decimal(inner)):
        more = "; write --spec.task regression for numbers, or cast classes to integers"
    elif spec.task in ("regression", "embedding") and is_class(kind):
        more = "; write --spec.task classification for classes, or cast numbers"
    elif spec.task == "multi_label" and is_class(kind):
        more = "; write --spec.task classification, where a text has one"
    refuse(spec, "label", f"the column is {kind}, and for {spec.task} {remedies[spec.task]}{more}")


def check_classes(spec: FinetuneSpec, names: Sequence[str], counts: npt.NDArray[np.int64], num_rows: int) -> None:
    """SpecError where the classes, of so many examples each, are none that can be learnt."""
    missing = [name for name, count in zip(names, counts.tolist(), strict=True) if not count]
    if spec.labels and missing:
        refuse(spec, "labels", f"there is no example of {some(missing)}: leave out what is not there, or mend the data")
    if not names:
        refuse(spec, "label", f"none of {num_rows:,} rows has a class: name the column that has them")
    if len(names) == 1 and spec.task == "multi_label":
        refuse(spec, "label", f"there is one class, {names[0]!r}: write true and false, and --spec.task classification")
    if len(names) == 1:
        refuse(spec, "label", f"all {num_rows:,} rows are of one class, {names[0]!r}: there is nothing to tell apart")
    alone = spec.task == "classification" and len(names) > max(SOME, num_rows // 2)
    if len(names) > MOST_CLASSES or alone:
        refuse(
            spec, "label", f"it has {len(names):,} different values in {num_rows:,} rows, too many for classes: name "
            "the column that has the class, or write --spec.task regression for numbers",
        )  # fmt: skip


def check_rows(num_rows: int, faults: Counter[str], what: str) -> None:
    """SpecError where no row can be used."""
    if not num_rows:
        reasons = told(faults) or "there are none"
        raise SpecError(f"no row of {what} can be used: {reasons}; check the columns that the spec names")


def told(faults: Counter[str]) -> str:
    """The commonest reasons with their numbers."""
    ordered = sorted(faults.items(), key=lambda fault: (-fault[1], fault[0]))
    return ", ".join(f"{reason} ({number:,})" for reason, number in ordered[:SOME])


def some(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - SOME:,} more" if len(names) > SOME else ""
    return ", ".join(repr(name) for name in names[:SOME]) + more


def _fits(task: str, kind: pa.DataType) -> bool:
    if task == "classification":
        return is_class(kind)
    if task in ("multi_label", "token_classification"):
        return is_list(kind) and is_class(kind.value_type)
    if task == "question_answering":
        return is_answers(kind)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
