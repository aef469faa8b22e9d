from __future__ import annotations

from pathlib import Path

from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training_books import TrainingBooks, warned
from pipelines.run.trainings.training_card import card_of
from pipelines.run.trainings.training_order import TrainingOrder
from tests.tiny_instances import prepare, write_config


def test_a_card_tells_of_corpus_training_and_numbers(tiny_model: Path, tmp_path: Path) -> None:
    instances = prepare(tmp_path / "instances", tiny_model)
    order = TrainingOrder(instances=str(instances), output=str(tmp_path / "model"))
    spec = PretrainSpec(architecture=str(write_config(tmp_path / "config.json")), max_steps=20, global_batch=16)
    ground = survey(order, spec, TrainPool())
    books = TrainingBooks()
    books.note({"event": "began", "workers": 2, "step": 0, "precision": "float32", "unigram_entropy": 4.25})
    books.note({"event": "stepped", "step": 20, "tokens": 4000, "position": 320, "seconds": 65.0})
    books.note(warned("the head is new"))
    card = str(card_of(ground, books, {"step": 20, "loss_mlm": 3.5, "accuracy_mlm": 0.25}))
    for line in (
        "# model", "- the head is new", "| masked tokens | 3.500 |  | 25.0% |", "| instances to learn from | 64 |",
        "| steps | 20 |", "| tokens | 4,000 |", "| epochs | 5.0 |", "| precision | float32 |",
        "| unigram entropy of the corpus | 4.25 |", '  "global_batch": 16,',
    ):  # fmt: skip
        assert line in card.splitlines()
    assert ground.agreed.fingerprint in card
