"""A BERT that is small, on instances from files: the real parts, all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers

from pipelines.model.pretraining import PretrainingModel
from pipelines.store.location import locate
from pipelines.text.masking import Vocabulary
from pipelines.text.objectives import Task
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.evaluation import LossEvaluator
from pipelines.train.events import Event
from pipelines.train.feed import Feed
from pipelines.train.instance_source import Cut, InstanceSource, Masking
from pipelines.train.keeper import Keeper
from pipelines.train.loop import Training
from pipelines.train.optimizer import AdamSettings
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.row_groups import list_row_groups
from pipelines.train.schedule import Pace, Schedule
from tests.instances import drawn_rows, put_part

VOCABULARY = Vocabulary(special=np.arange(100) < 5, continues=np.zeros(100, bool), mask_id=4)
WHOLE = 10**6
"""A token budget that no share has."""


def put_instances(folder: Path) -> Path:
    """Sixty instances to train on, ten held out."""
    put_part(locate(str(folder)), "parts/0.parquet", drawn_rows(60, 1))
    put_part(locate(str(folder)), "held_out/0.parquet", drawn_rows(10, 2))
    return folder


@dataclass
class SmallBert:
    """A training, and what it told."""

    model: PretrainingModel
    training: Training
    events: list[Event]

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def small_bert(
    instances: Path,
    output: Path,
    *,
    budget: int = WHOLE,
    dropout: float = 0.0,
    stop_after: int | None = None,
    ranks: Ranks = Ranks(),
    max_steps: int = 8,
    peak: float = 1e-4,
    device: str = "cpu",
    packed: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> SmallBert:
    """Eight steps of 16 instances, which are two epochs and a bit."""
    location, events = locate(str(instances)), list[Event]()
    train, held_out = (list_row_groups(location, [f"{name}/0.parquet"]) for name in ("parts", "held_out"))
    task = Task(objective="mlm+nsp", vocabulary=VOCABULARY, seed=5)
    feed = Feed(train, num_streams=4, seed=5)
    asked = iter(range(10**9))
    model = network(dropout, device, packed)
    training = Training(
        model,
        InstanceSource(
            feed,
            held_out,
            maker=Masking(task, model.flops),
            cut=Cut(token_budget=budget, padded=not packed),
            max_held_out=10,
        ),
        evaluator=LossEvaluator(model, ("mlm", "nsp"), precision),
        recipe=Recipe(
            global_batch=16,
            pace=Pace(max_steps=max_steps),
            schedule=Schedule(kind="linear", peak=peak, warmup=0.1),
            adam=AdamSettings(),
            seed=5,
            precision=precision,
        ),
        cadence=Cadence(log_steps=2, eval_steps=4),
        keeper=Keeper(Checkpoints(locate(str(output)), {}, 3), every_steps=3, ranks=ranks, observer=events.append),
        ranks=ranks,
        observer=events.append,
        should_stop=lambda: next(asked) == stop_after,
    )
    return SmallBert(model, training, events)


def network(dropout: float, device: str = "cpu", packed: bool = False) -> PretrainingModel:
    """Two layers of 32."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return PretrainingModel(transformers.BertForPreTraining(config).to(device), "mlm+nsp", packed=packed)
