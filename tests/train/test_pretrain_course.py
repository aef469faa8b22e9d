from __future__ import annotations

import pickle
from pathlib import Path

from transformers import AutoModelForPreTraining

from pipelines.train.checkpoint import State
from pipelines.train.loop import Outcome
from pipelines.train.ranks import Ranks
from tests.train.given import assignment, course


def test_a_course_travels_and_is_begun_where_it_arrives(prepared: Path, config: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", config)
    equipment = pickle.loads(pickle.dumps(given)).course.equip(given, Ranks(), 0)
    assert equipment.source.losses == ("mlm", "nsp")
    assert equipment.remarks == ()
    facts = equipment.facts()
    assert (facts["precision"], facts["device"]) == ("float32", "cpu")
    assert 0 < facts["unigram_entropy"] < 6
    told = equipment.evaluator(equipment.source.held_out(0, 1), Ranks())
    assert told is not None
    assert told.merit == -sum(told.losses.values())


def test_of_all_workers_the_first_delivers(prepared: Path, config: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", config)
    for rank in (1, 0):
        assert not (tmp_path / "model/config.json").exists()
        equipment = given.course.equip(given, Ranks(rank, 2), 0)
        assert equipment.deliver(Outcome(State(), False, 0)) == {}
    AutoModelForPreTraining.from_pretrained(tmp_path / "model")


def test_its_recipe_is_that_of_the_spec(prepared: Path, config: Path, tmp_path: Path) -> None:
    recipe = course(prepared, tmp_path / "model", config).recipe
    assert (recipe.pace.max_steps, recipe.global_batch, recipe.deliver, recipe.patience) == (6, 16, "last", 0)
