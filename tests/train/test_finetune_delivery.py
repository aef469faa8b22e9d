from __future__ import annotations

import json
from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from pipelines.train.checkpoint import State
from pipelines.train.loop import Outcome
from pipelines.train.ranks import Ranks
from tests.train.given_task import assignment, rows, spec_for

DONE = Outcome(State(step=12), stopped=False, weights_step=8)


def test_a_folder_that_others_load_and_what_it_came_to(tiny_model: Path, tmp_path: Path) -> None:
    given = assignment(tmp_path, spec_for(tiny_model, max_eval_instances=4), rows(64))
    equipment = given.course.equip(given, Ranks(), 0)
    told = equipment.deliver(DONE)
    output = tmp_path / "model"
    assert json.loads((output / "metrics.json").read_text()) == told
    assert (told["task"], told["metric"], told["weights_of_step"]) == ("classification", "accuracy", 8)
    assert told["examples"] == 16  # all of them, also where an evaluation on the way takes fewer
    assert told["by_class"].keys() == {"gold", "union"}
    assert sum(map(sum, told["confusion"])) == 16
    assert told["pictures"] == ["confusion.png"]
    assert (output / "confusion.png").read_bytes().startswith(b"\x89PNG")
    model = AutoModelForSequenceClassification.from_pretrained(output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert tokenizer.model_max_length == 32
    (found,) = pipeline("text-classification", model=model, tokenizer=tokenizer)(["the gold of peace"])
    assert found["label"] in ("gold", "union")


def test_the_first_worker_writes(tiny_model: Path, tmp_path: Path) -> None:
    class Second(Ranks):
        def gathered(self, value: object) -> list[object]:
            return [value]

        def sum(self, values: object) -> list[float]:
            return list(values)  # type: ignore[call-overload]

        def of_first(self, value: object) -> object:
            return value or {}

    given = assignment(tmp_path, spec_for(tiny_model), rows(32))
    equipment = given.course.equip(given, Second(1, 2), 0)
    assert equipment.deliver(DONE) == {}
    assert not (tmp_path / "model/config.json").exists()


def test_where_nothing_is_held_out_nothing_is_measured(tiny_model: Path, tmp_path: Path) -> None:
    given = assignment(tmp_path, spec_for(tiny_model, eval_share=0.0), rows(16))
    told = given.course.equip(given, Ranks(), 0).deliver(DONE)
    assert told == {"task": "classification", "labels": ["gold", "union"], "weights_of_step": 8}
    assert (tmp_path / "model/model.safetensors").exists()
