"""A look at labelled data before anything starts: classes, what is wrong with rows, and what decides the split.

It reads every row once, in threads of the driver, and keeps some 50 bytes of it: no text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import ShardError
from pipelines.example_spec import ExampleSpec
from pipelines.finetune_spec import LABELLED, FinetuneSpec
from pipelines.run.finetune.label_checks import check_shards
from pipelines.run.ground import first_columns
from pipelines.run.order import Order
from pipelines.run.plan import limited
from pipelines.run.progress import Progress
from pipelines.schema import unfold
from pipelines.spec import Storage
from pipelines.stages.class_labels import in_order, is_list, is_number
from pipelines.stages.decision import keys_of
from pipelines.stages.documents import DocumentColumns, check_shard
from pipelines.stages.labelled import read_labelled
from pipelines.stages.read import Reading, Stretch, slices_of
from pipelines.stages.slicewise import ROW
from pipelines.store.class_names import read_class_names
from pipelines.store.shards import Footer, Shard, list_shards, read_footers
from pipelines.text.bins import Floats
from pipelines.text.document_keys import Keys
from pipelines.text.ragged import Ragged

Ints = npt.NDArray[np.int64]

Found = tuple[list[Shard], list[tuple[Shard, Footer]]]
"""The shards of an order, and those that can be read with their footers."""

THREADS = 8
FOOTER_THREADS = 64


@dataclass(frozen=True, kw_only=True)
class LabelSurvey:
    """What n rows, of which everything is there, are told to be."""

    names: list[str]
    """The classes in their order: the spec's, or those that there are, sorted."""
    classes: Ragged
    """n lists of places among the names."""
    numbers: Floats | None  # [n], of regression, and scores
    ids: Keys  # [n], by which rows are told from each other
    groups: Keys | None  # [n]
    digests: Keys  # [n], of their texts
    rows: Ints  # [n], numbers in their shards
    shards: tuple[Stretch, ...]
    shard: Ints  # [n], which of the shards each is of
    faults: Counter[str]
    """How many rows of the shards can't be used, by the reason."""
    reading: Reading

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self, rows: npt.NDArray[np.bool_]) -> Ints:
        """How many of these rows each class has; of tags, how many words."""
        return np.bincount(self.classes.take(np.flatnonzero(rows)).values, minlength=len(self.names))

    def names_of(self, places: Sequence[int]) -> list[str]:
        """Ids of rows, which are read for that."""
        found = []
        for place in places:
            shard, row = self.shards[self.shard[place]].shard, int(self.rows[place])
            for batch in slices_of([Stretch(shard=shard, first_row=row, stop_row=row + 1)], self.reading):
                documents, header = unfold(batch)
                if not header.error:
                    found += [str(one) for one in documents[self.reading.columns.id_name].to_pylist()]
        return found


def survey_labels(order: Order, spec: FinetuneSpec, examples: ExampleSpec, found: Found | None = None) -> LabelSurvey:
    """Look at the data of an order, whose shards may have been ``found``.

    SpecError where there are none with the spec's columns, of fitting types.
    """
    shards, known = found or shards_of(order, spec, with_group=bool(examples.group))
    columns = first_columns(order, examples, shards)
    reading = Reading(columns=columns, slicing=order.slicing, output_row_bytes=0, storage=order.storage)
    stretches = _stretches([(shard, footer) for shard, footer in known if _fits(footer, columns)], order.limit)
    examples = replace(examples, labels=examples.labels or _named(stretches, columns, examples, order.storage))
    with Progress(mode=order.progress) as progress, ThreadPoolExecutor(THREADS, "labels") as pool:
        num_rows = sum(stretch.num_documents for stretch in stretches)
        progress.say(f"looking at {num_rows:,} rows of {len(stretches):,} shards")
        looked = list(pool.map(partial(_look, examples=examples, reading=reading), stretches))
    return _together(looked, stretches, examples, reading)


def shards_of(order: Order, spec: FinetuneSpec, *, with_group: bool) -> Found:
    """The shards of an order, and those that can be read with their footers. SpecError as ``check_shards`` has it."""
    shards = list_shards(order.documents, order.storage)
    footers = read_footers(shards, order.storage, FOOTER_THREADS)
    known = [(shard, found) for shard in shards if isinstance(found := footers[shard.shard_id], Footer)]
    named = [(f"{shard.name} of {order.source}", one.schema) for shard, one in known]
    check_shards(spec, named, with_group=with_group)
    return shards, known


def _named(
    stretches: Sequence[Stretch], columns: DocumentColumns, examples: ExampleSpec, storage: Storage
) -> list[str]:
    """The classes as the first shard's footer names them, where labels are numbers; [] where it does not."""
    kind = columns.targets.get(examples.label)
    told = kind is not None and examples.task in LABELLED and is_number(kind)
    return read_class_names(stretches[0].shard, examples.label, storage) if told and stretches else []


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What was seen of some rows of one shard."""

    names: list[str]
    classes: Ragged
    numbers: Floats | None
    ids: Keys
    groups: Keys | None
    digests: Keys
    rows: Ints
    faults: Counter[str]


def _stretches(known: Iterable[tuple[Shard, Footer]], limit: int) -> tuple[Stretch, ...]:
    shards = {shard.shard_id: shard for shard, _ in known}
    within = limited([(shard.shard_id, footer.num_rows) for shard, footer in known], limit)
    return tuple(Stretch(shard=shards[shard_id], first_row=0, stop_row=num) for shard_id, num in within.items() if num)


def _fits(footer: Footer, columns: DocumentColumns) -> bool:
    """Whether a shard has the columns; one that has not is set aside by the run, and told of there."""
    try:
        check_shard(footer.schema, columns)
    except ShardError:
        return False
    return True


def _look(stretch: Stretch, *, examples: ExampleSpec, reading: Reading) -> list[_Looked]:
    return list(_looked(stretch, examples, reading))


def _looked(stretch: Stretch, examples: ExampleSpec, reading: Reading) -> Iterator[_Looked]:
    """What is seen of a shard, slice by slice; a shard that breaks ends there, as it will when examples are made."""
    for batch in slices_of([stretch], reading):
        documents, header = unfold(batch)
        faults = Counter(letter.reason for letter in header.dead_letters)
        if header.error:
            return
        found = read_labelled(documents, examples)
        ids, groups = keys_of(found, examples)
        yield _Looked(
            names=found.names,
            classes=found.classes,
            numbers=found.numbers,
            ids=ids,
            groups=groups,
            digests=found.digests(),
            rows=found.documents[ROW].to_numpy(),
            faults=faults + Counter(found.faults.values()),
        )


def _together(
    found: Sequence[Sequence[_Looked]], stretches: tuple[Stretch, ...], examples: ExampleSpec, reading: Reading
) -> LabelSurvey:
    """All that was seen, with the classes in one order."""
    flat = [one for of_shard in found for one in of_shard]
    names = list(examples.labels) or _in_order(_used(flat), examples, reading)
    number = {name: place for place, name in enumerate(names)}
    codes = [
        np.array([number.get(name, -1) for name in one.names], np.int32)[one.classes.values]
        for one in flat
        if one.names
    ]
    counts = [len(one.ids) for one in flat]
    of_shard = np.repeat(np.arange(len(found)), [sum(len(one.ids) for one in shard) for shard in found])
    return LabelSurvey(
        names=names,
        classes=Ragged(
            np.concatenate([np.zeros(0, np.int32), *codes]),
            np.cumsum(np.concatenate([[0], *(one.classes.lengths for one in flat)]), dtype=np.int64),
        ),
        numbers=_numbers([one.numbers for one in flat if one.numbers is not None]),
        ids=_keys([one.ids for one in flat]),
        groups=_keys([one.groups for one in flat if one.groups is not None]) if examples.group else None,
        digests=_keys([one.digests for one in flat]),
        rows=np.concatenate([np.zeros(0, np.int64), *(one.rows for one in flat)]),
        shards=stretches,
        shard=of_shard if counts else np.zeros(0, np.int64),
        faults=sum((one.faults for one in flat), Counter()),
        reading=reading,
    )


def _used(flat: Sequence[_Looked]) -> set[str]:
    """The classes that some row has."""
    return {one.names[code] for one in flat for code in np.unique(one.classes.values).tolist()}


def _in_order(names: set[str], examples: ExampleSpec, reading: Reading) -> list[str]:
    kind = reading.columns.targets.get(examples.label, pa.null())
    return in_order(names, kind.value_type if is_list(kind) else kind)


def _numbers(parts: Sequence[Floats]) -> Floats | None:
    return np.concatenate(parts) if parts else None


def _keys(parts: Sequence[Keys]) -> Keys:
    return np.concatenate([np.zeros(0, np.uint64), *parts])
