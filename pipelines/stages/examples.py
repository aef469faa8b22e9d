"""examples: documents -> examples of a task, on the CPU pool. One actor reads labels, tokenizes and splits.

The examples of a document are a function of it and of the output's decision (``pipelines.stages.decision``) alone.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
from ray.data import Dataset

from pipelines.errors import StoreError
from pipelines.examples import examples_schema
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.answer_examples import make_answer_examples
from pipelines.stages.attempts import Attempts
from pipelines.stages.decision import KEY, Decision
from pipelines.stages.documents import DocumentColumns
from pipelines.stages.embedding_examples import make_embedding_examples
from pipelines.stages.example_recipe import ExampleRecipe
from pipelines.stages.instances import IS_HELD_OUT
from pipelines.stages.labelled import Labelled, read_labelled
from pipelines.stages.slicewise import ROW, Outcome, slicewise
from pipelines.stages.task_examples import Ints, TaskExamples
from pipelines.stages.text_examples import make_text_examples
from pipelines.stages.word_examples import make_word_examples
from pipelines.store.location import Location
from pipelines.text.split import Flags


def make_task_examples(documents: Dataset, recipe: ExampleRecipe, pool: ActorPool, output: Location) -> Dataset:
    """Documents become examples (``pipelines.examples``) with IS_HELD_OUT, by the decision that the output keeps."""
    return on_slices(documents, ExampleMaker, pool, recipe=recipe, attempts=Attempts(), output=output)


def part_columns(columns: DocumentColumns, task: str) -> list[str]:
    """Columns of the parts: what is carried of a document, and the contract's."""
    return [*columns.carried, *examples_schema(task).names]


class ExampleMaker:
    """Actor that makes examples of slices, or of any table that has the spec's columns.

    Without an ``output`` nothing is held out, and nothing left out.
    """

    def __init__(self, recipe: ExampleRecipe, attempts: Attempts | None = None, output: Location | None = None) -> None:
        self._spec, self._attempts, self._output = recipe.spec, attempts, output
        self._tokenizer = recipe.tokenizer()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A slice of documents becomes a slice of examples; a plain table likewise, of which ids are carried."""
        return slicewise(batch, "examples", self._make, self._attempts)

    @cached_property
    def _decision(self) -> Decision:
        """What the output's run decided. StoreError where that is gone."""
        if self._output is None:
            return Decision()
        found = Decision.read(self._output)
        if found is None:
            raise StoreError(f"{self._output.join(KEY)}, which decides what is held out, is gone: run again")
        return found

    def _make(self, documents: pa.Table) -> Outcome:
        spec = self._spec
        found = read_labelled(documents, spec)
        held, twins = self._decision.of(found, spec)
        made = self._examples(found)
        told = (np.diff(made.offsets) > 0) & ~twins[made.document]
        carried = found.documents.select([ROW, spec.id, *spec.passthrough])
        table = carried.take(pa.array(made.document, pa.int64()))
        for field, column in made.columns().items():
            table = table.append_column(field, column)
        table = table.append_column(IS_HELD_OUT, pa.array(held[made.document])).filter(pa.array(told))
        stats = {**made.stats, **_counts(found, made, held, twins, told)}
        return Outcome(table=table, failures=found.faults, stats=stats)

    def _examples(self, found: Labelled) -> TaskExamples:
        spec, tokenizer = self._spec, self._tokenizer
        if spec.task == "token_classification":
            return make_word_examples(found, tokenizer)
        if spec.task == "question_answering":
            return make_answer_examples(found, tokenizer, spec.stride)
        if spec.task == "embedding":
            return make_embedding_examples(found, tokenizer, spec.negatives)
        return make_text_examples(found, spec.task, tokenizer)


def _counts(found: Labelled, made: TaskExamples, held: Flags, twins: Flags, told: Flags) -> dict[str, int]:
    """What is counted of a slice, by names that add up; those of instances are what the writer accounts by."""
    is_held: Flags = held[made.document]
    tokens: Ints = np.diff(made.offsets)
    return {
        "num_tokens": int(tokens[told].sum()),
        "instances.documents": len(found.texts[0]),
        "instances.train": int((told & ~is_held).sum()),
        "instances.held_out": int((told & is_held).sum()),
        "examples.twins": int(twins.sum()),
        "examples.empty": int((tokens == 0).sum()),
        **_of_classes(found, held | twins),
    }


def _of_classes(found: Labelled, is_out: Flags) -> dict[str, int]:
    """How many of the documents to train on have each class; of tags, how many words."""
    places, counts = np.unique(found.classes.take(np.flatnonzero(~is_out)).values, return_counts=True)
    return {f"examples.class {found.names[place]}": int(n) for place, n in zip(places, counts, strict=True)}
