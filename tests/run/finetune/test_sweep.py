from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.entry import parse
from jobs.finetune import finetune
from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.sweep import Sweep, models_of

SPEC = FinetuneSpec(model="m", task="classification")


def test_all_combinations_are_trained_seeds_fastest() -> None:
    trials = Sweep(seed=[0, 1], learning_rate=[2e-5, 5e-5], global_batch=[16]).trials(SPEC)
    assert [trial.name for trial in trials] == [
        "lr2e-5-batch16-seed0", "lr2e-5-batch16-seed1", "lr5e-5-batch16-seed0", "lr5e-5-batch16-seed1",
    ]  # fmt: skip
    assert trials[3].setting == {"learning_rate": 5e-5, "global_batch": 16}
    assert (trials[3].spec.learning_rate, trials[3].spec.seed, trials[3].seed) == (5e-5, 1, 1)
    assert trials[0].spec.epochs == SPEC.epochs


def test_models_have_numbers_for_names() -> None:
    trials = Sweep(model=["a/b", "s3://c"]).trials(SPEC)
    assert [trial.name for trial in trials] == ["model0", "model1"]
    assert models_of(trials) == ["a/b", "s3://c"]


def test_each_label_is_a_task_of_its_own() -> None:
    trials = Sweep(label=["topic", "Is it/toxic?"], seed=[0, 1]).trials(SPEC)
    assert [trial.name for trial in trials] == [
        "topic-seed0", "topic-seed1", "Is%20it%2Ftoxic%3F-seed0", "Is%20it%2Ftoxic%3F-seed1",
    ]  # fmt: skip
    assert [(trial.label, trial.spec.label, trial.setting) for trial in trials[1:3]] == [
        ("topic", "topic", {}), ("Is it/toxic?", "Is it/toxic?", {}),
    ]  # fmt: skip
    assert {trial.spec.task for trial in trials} == {"classification"}


def test_labels_may_be_of_several_tasks() -> None:
    flags = ["--train_data", "d", "--output", "o", "--spec.model", "m", "--spec.task", "classification"]
    sweep = parse(finetune, [*flags, "--sweep.label", "{topic: classification, stars: regression}"])["sweep"]
    assert [(trial.name, trial.spec.task) for trial in sweep.trials(SPEC)] == [
        ("topic", "classification"), ("stars", "regression"),
    ]  # fmt: skip
    assert parse(finetune, [*flags, "--sweep.label", "[topic, stars]"])["sweep"] == Sweep(label=["topic", "stars"])


def test_nothing_listed_is_no_sweep() -> None:
    assert not Sweep()
    assert Sweep(seed=[3])


def test_values_that_cannot_be_are_refused_before_anything_starts() -> None:
    with pytest.raises(SpecError, match=r"Sweep.seed is \[1, 1\]: write each value once"):
        Sweep(seed=[1, 1])
    with pytest.raises(SpecError, match="learning_rate is 0"):
        Sweep(learning_rate=[0.0]).trials(SPEC)
    with pytest.raises(SpecError, match=r"Sweep.label is \[''\]: name columns"):
        Sweep(label=[""])
    with pytest.raises(SpecError, match="class_weights is 'balanced': regression has no classes"):
        Sweep(label={"stars": "regression"}).trials(replace(SPEC, class_weights="balanced"))
