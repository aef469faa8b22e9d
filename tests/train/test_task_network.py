from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from pipelines.learning_spec import TrainPool
from pipelines.store.user_code import read_user_code
from pipelines.train.finetune_course import FinetuneCourse
from pipelines.train.task_network import make_task_network
from tests.train.given_task import assignment, rows, spec_for

OWN = """
from transformers import BertForSequenceClassification

class MyClassifier(BertForSequenceClassification):
    pass
"""


def course(tiny_model: Path, folder: Path) -> FinetuneCourse:
    found = assignment(folder, spec_for(tiny_model), rows(16)).course
    assert isinstance(found, FinetuneCourse)
    return found


def test_every_worker_makes_the_same_network(tiny_model: Path, tmp_path: Path) -> None:
    given = course(tiny_model, tmp_path)
    one, other = (make_task_network(given, TrainPool()) for _ in range(2))
    weights = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(mine, its) for mine, its in weights)
    assert one.model.config.id2label == {0: "gold", 1: "union"}
    (remark,) = one.remarks
    assert remark == f"{tiny_model} lacks the classification head: made anew"


def test_activations_are_made_anew_on_request(tiny_model: Path, tmp_path: Path) -> None:
    made = make_task_network(course(tiny_model, tmp_path), TrainPool(activation_checkpointing=True))
    assert made.model.module.is_gradient_checkpointing


def test_a_class_of_the_users_own_makes_the_network(tiny_model: Path, tmp_path: Path) -> None:
    given = course(tiny_model, tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my_finetuned.py").write_text(OWN)
    spec = replace(given.spec, model_class="my_finetuned.MyClassifier")
    made = make_task_network(replace(given, spec=spec, code=read_user_code(str(tmp_path / "code"))), TrainPool())
    assert type(made.model.module).__name__ == "MyClassifier"
