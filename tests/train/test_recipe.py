from __future__ import annotations

from dataclasses import replace

from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.train.optimizer import AdamSettings
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.schedule import Pace, Schedule


def test_a_spec_is_taken_field_by_field() -> None:
    spec = PretrainSpec(
        architecture="bert-tiny",
        time_budget="2m",
        global_batch=8,
        learning_rate=0.5,
        schedule="wsd",
        warmup=0.1,
        decay=0.2,
        weight_decay=0.3,
        betas=(0.4, 0.5),
        epsilon=0.6,
        max_grad_norm=0.7,
        seed=9,
        precision="float32",
    )
    assert Recipe.of(spec) == Recipe(
        global_batch=8,
        pace=Pace(max_seconds=120.0),
        schedule=Schedule(kind="wsd", peak=0.5, warmup=0.1, decay=0.2),
        adam=AdamSettings(weight_decay=0.3, betas=(0.4, 0.5), epsilon=0.6, max_grad_norm=0.7),
        seed=9,
        precision="float32",
    )
    assert Recipe.of(PretrainSpec(architecture="bert-tiny", max_steps=7)).pace == Pace(max_steps=7)
    assert Recipe.of(PretrainSpec(architecture="bert-tiny", max_tokens=7)).pace == Pace(max_tokens=7)


def test_cadence_is_that_of_the_pool_within_what_the_recipe_allows() -> None:
    recipe = Recipe.of(PretrainSpec(architecture="bert-tiny", max_steps=7))
    assert Cadence.of(TrainPool(log_steps=3, eval_steps=4), recipe) == Cadence(log_steps=3, eval_steps=4)
    short = replace(recipe, most_eval_steps=3)
    assert [Cadence.of(TrainPool(eval_steps=num), short).eval_steps for num in (2, 500, 0)] == [2, 3, 0]
