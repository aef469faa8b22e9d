from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.example_spec import ExampleSpec
from pipelines.examples import TARGETS
from pipelines.finetune_spec import FinetuneSpec
from pipelines.fingerprint import canonical, fingerprint
from pipelines.instances import INSTANCES


def finetune(**fields: Any) -> FinetuneSpec:
    return FinetuneSpec(model="m", **{"task": "classification", "max_seqlen": 64, **fields})


def test_it_is_the_part_that_decides_examples() -> None:
    spec = finetune(
        text=["title", "body"], group="patient", eval_share=0.2, split_seed=3, twins="drop", labels=["a", "b"]
    )
    made = ExampleSpec.of(spec, ["a", "b"], is_split=True)
    assert (made.texts, made.group_by, made.eval_share, made.twins) == (["title", "body"], "patient", 0.2, "drop")
    assert (made.targets, made.labels, made.stride) == (["label"], ["a", "b"], 0)
    given = ExampleSpec.of(spec, ["a", "b"], is_split=False)
    assert (given.group, given.eval_share, given.split_seed, given.twins) == ("", 0.0, 0, "name")
    assert ExampleSpec.of(spec, ["a", "b"], is_split=False, is_evaluation=True).twins == "drop"


def test_what_is_only_for_learning_leaves_the_examples_as_they_are() -> None:
    one = ExampleSpec.of(finetune(), ["a", "b"], is_split=True)
    for fields in ({"learning_rate": 1.0}, {"seed": 5}, {"global_batch": 8}, {"model": "other"}, {"stride": 7}):
        other = ExampleSpec.of(replace(finetune(), **fields), ["a", "b"], is_split=True)
        assert fingerprint(other, "hash") == fingerprint(one, "hash")
    assert "model" not in canonical(one)
    for fields in ({"max_seqlen": 32}, {"text": "body"}, {"split_seed": 5}, {"twins": "drop"}):
        other = ExampleSpec.of(replace(finetune(), **fields), ["a", "b"], is_split=True)
        assert fingerprint(other, "hash") != fingerprint(one, "hash")


def test_targets_are_labels_and_negatives() -> None:
    spec = finetune(task="embedding", text_pair="answer", negatives=["wrong", "worse"])
    made = ExampleSpec.of(spec, [], is_split=True)
    assert (made.targets, made.pairs, made.has_lists) == (["wrong", "worse"], ["answer"], False)
    assert made.output_bytes(0) == 4 * 4 * 64
    words = ExampleSpec.of(finetune(task="token_classification", text="words"), ["O", "B-X"], is_split=True)
    assert (words.targets, words.has_lists) == (["tags"], True)


def test_columns_of_the_parts_are_taken() -> None:
    columns = {name for fields in TARGETS.values() for name in (field.name for field in fields)}
    assert columns | set(INSTANCES.names) <= ExampleSpec.reserved
    with pytest.raises(SpecError, match=r"ExampleSpec\.id is 'score': .* are columns of the output"):
        ExampleSpec.of(finetune(id="score"), ["a", "b"], is_split=True)
