"""Documents to what is told of them: texts, labels, numbers and answers, and why some rows have none.

The look at the labels before a run and the makers of examples both read them here, so that they agree on every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.example_spec import ExampleSpec
from pipelines.finetune_spec import LABELLED
from pipelines.stages.answer_labels import Answer, read_answers
from pipelines.stages.class_labels import each_once, is_number, read_labels
from pipelines.stages.documents import GROUP, TARGET, TEXT, TEXT_PAIR, joined, lists, values_of
from pipelines.stages.slicewise import ROW
from pipelines.text.document_keys import Keys, document_keys
from pipelines.text.ragged import Ragged

TEXTS = {TEXT: "the text", TEXT_PAIR: "the second text"}


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The n documents of which everything is there."""

    documents: pa.Table
    texts: list[list[Any]]
    """First texts, and second ones where the spec has them: n strings, or lists of words, each."""
    classes: Ragged
    """n lists of places among ``names``; of multi_label rising, each once; empty where the task has no classes."""
    names: list[str] = field(default_factory=list)
    numbers: npt.NDArray[np.float32] | None = None  # [n], of regression, and scores
    answers: list[Answer] | None = None  # n, of question_answering
    faults: dict[int, str] = field(default_factory=dict)
    """Why a row is not among them, by its number in the shard."""

    def digests(self) -> Keys:
        """64 bits of each document's texts: equal for equal texts."""
        first, *more = self.texts
        if more or (first and isinstance(first[0], list)):
            return document_keys("".join(map(_content, both)) for both in zip(*self.texts, strict=True))
        return document_keys(first)


def read_labelled(documents: pa.Table, spec: ExampleSpec) -> Labelled:
    """What a spec's task tells of documents; of any table with the spec's columns. Other labels than its are faults.

    Without ``spec.labels`` the classes are those that are there.
    """
    documents = _with_columns(documents, spec)
    texts = [values_of(documents[name]) for name in TEXTS if name in documents.column_names]
    faults = _text_faults(texts)
    column = documents[f"{TARGET}{spec.label}"] if spec.label else None
    labels, numbers, answers = None, None, None
    if column is not None and spec.task in LABELLED:
        labels = read_labels(column)
        if spec.labels:
            labels = labels.as_classes(spec.labels, by_number=is_number(column.type))
        if spec.task == "multi_label":
            labels = replace(labels, codes=each_once(labels.codes))
        faults = labels.faults | _unequal(texts[0], column, spec) | faults
    elif column is not None and spec.task == "question_answering":
        answers, wrong = read_answers(column, texts[1])
        faults = wrong | faults
    elif column is not None:
        numbers, wrong = read_numbers(column)
        faults = wrong | faults
    sound = np.setdiff1d(np.arange(documents.num_rows), list(faults))
    rows = documents[ROW].to_pylist()
    return Labelled(
        documents=documents.take(pa.array(sound, pa.int64())) if faults else documents,
        texts=[[values[place] for place in sound.tolist()] for values in texts],
        classes=(labels.codes if labels else _no_classes(documents.num_rows)).take(sound),
        names=labels.names if labels else [],
        numbers=numbers if numbers is None else numbers[sound],
        answers=answers if answers is None else [answers[place] for place in sound.tolist()],
        faults={rows[place]: reason for place, reason in faults.items()},
    )


def read_numbers(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.float32], dict[int, str]]:
    """Numbers, and why rows have none, by their place."""
    values = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    nulls = column.is_null().to_numpy()
    faults = dict.fromkeys(np.flatnonzero(~np.isfinite(numbers)).tolist(), "the label is no finite number")
    return numbers, faults | dict.fromkeys(np.flatnonzero(nulls).tolist(), "the label is null")


def _with_columns(documents: pa.Table, spec: ExampleSpec) -> pa.Table:
    """The documents with the columns that ``documents_of`` gives, which a table that was not read as slices lacks."""
    missing: dict[str, Any] = {}
    if TEXT not in documents.column_names:
        missing[TEXT] = (
            lists(documents, spec.texts[0]) if spec.has_lists else joined(documents, spec.texts, spec.separator)
        )
        if spec.pairs:
            missing[TEXT_PAIR] = joined(documents, spec.pairs, spec.separator)
        missing |= {f"{TARGET}{name}": documents[name] for name in spec.targets}
        missing |= {GROUP: documents[spec.group]} if spec.group else {}
    for name, column in missing.items():
        documents = documents.append_column(name, column)
    return documents


def _text_faults(texts: Sequence[Sequence[Any]]) -> dict[int, str]:
    faults: dict[int, str] = {}
    for what, values in zip(TEXTS.values(), texts, strict=False):
        for place, value in enumerate(values):
            if value is None or value is False:
                faults.setdefault(place, f"{what} is {'null' if value is None else 'not valid UTF-8'}")
            elif isinstance(value, list) and (not value or None in value):
                faults.setdefault(place, "a word is null" if value else "there are no words")
    return faults


def _unequal(words: Sequence[Any], tags: pa.ChunkedArray, spec: ExampleSpec) -> dict[int, str]:
    """Rows with more words than tags, or fewer."""
    if spec.task != "token_classification":
        return {}
    numbers = pc.fill_null(pc.list_value_length(tags), 0).to_pylist()
    counts = enumerate(zip(words, numbers, strict=True))
    return {place: "words and tags differ in number" for place, (one, num) in counts if one and len(one) != num}


def _no_classes(num_rows: int) -> Ragged:
    return Ragged(np.zeros(0, np.int32), np.zeros(num_rows + 1, np.int64))


def _content(text: str | list[str]) -> str:
    """A text such that those of two columns, or two words, do not run into each other."""
    parts = text if isinstance(text, list) else [text]
    return "".join(f"{len(part)}:{part}" for part in [str(len(parts)), *parts])
