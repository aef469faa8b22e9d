"""What an output decided of its examples, and how makers go by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.example_spec import ExampleSpec
from pipelines.stages.decision import Decision, keys_of
from pipelines.stages.labelled import Labelled, read_labelled
from pipelines.stages.slicewise import ROW
from pipelines.store.location import locate
from pipelines.text.bins import bounds_of, in_bins
from pipelines.text.split import split_by_group, split_by_id

SPEC = ExampleSpec(model="m", task="classification", label="label", labels=["a", "b"], max_seqlen=16, eval_share=0.25)
GROUPED = ExampleSpec(
    model="m", task="classification", label="label", labels=["a", "b"], max_seqlen=16, eval_share=0.25, group="who"
)


def documents(spec: ExampleSpec, num: int = 40) -> Labelled:
    numbers = np.arange(num)
    columns = {ROW: numbers, "id": numbers, "text": [f"text {n // 2}" for n in range(num)], "who": numbers // 4}
    return read_labelled(pa.table({**columns, "label": ["a" if n % 3 else "b" for n in range(num)]}), spec)


def test_it_is_kept_as_it_was(tmp_path: Path) -> None:
    output = locate(str(tmp_path))
    assert Decision.read(output) is None
    found = documents(GROUPED)
    _, groups = keys_of(found, GROUPED)
    assert groups is not None
    decision = Decision(
        split=split_by_group(groups, found.classes, 2, share=0.25, seed=3), twins=np.array([5, 9], np.uint64)
    )
    decision.put(output)
    again = Decision.read(output)
    assert again is not None
    assert again.split is not None
    assert decision.split is not None
    assert again.split.seed == 3
    assert again.twins.tolist() == [5, 9]
    assert np.array_equal(again.of(found, GROUPED)[0], decision.of(found, GROUPED)[0])
    Decision().put(output)
    nothing = Decision.read(output)
    assert nothing is not None
    assert nothing.split is None
    assert not nothing.of(found, GROUPED)[0].any()


def test_numbers_are_held_out_by_their_bins(tmp_path: Path) -> None:
    spec = ExampleSpec(model="m", task="regression", label="label", max_seqlen=16, eval_share=0.25)
    numbers = np.arange(40)
    columns = {ROW: numbers, "id": numbers, "text": ["a"] * 40, "label": numbers / 4}
    found = read_labelled(pa.table(columns), spec)
    assert found.numbers is not None
    bounds = bounds_of(found.numbers, 0.25)
    split = split_by_id(keys_of(found, spec)[0], in_bins(found.numbers, bounds), 10, share=0.25, seed=0)
    output = locate(str(tmp_path))
    Decision(split=replace(split, bounds=bounds)).put(output)
    again = Decision.read(output)
    assert again is not None
    held, _ = again.of(found, spec)
    assert np.bincount(numbers[held] // 4).tolist() == [1] * 10
    old = split_by_id(keys_of(found, spec)[0], found.classes, 0, share=0.25, seed=0)  # as it was before there were bins
    assert Decision(split=old).of(found, spec)[0].sum() == 10


def test_of_twins_those_to_evaluate_on_are_left_out() -> None:
    found = documents(SPEC)
    ids, _ = keys_of(found, SPEC)
    digests = found.digests()
    split = split_by_id(ids, found.classes, 2, share=0.25, seed=0)
    held, left_out = Decision(split=split, twins=np.unique(digests)).of(found, SPEC)
    assert held.sum() == 10
    assert np.array_equal(held, left_out)
    held, left_out = Decision(twins=digests[[7]]).of(found, SPEC)
    assert not held.any()
    assert np.flatnonzero(left_out).tolist() == [6, 7]
