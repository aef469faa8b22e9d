"""Those who train, each in a process of its own: transformers as its users write it, and Manta.

The clock runs from instances in memory over masking, batching and training steps; the model is loaded, and three steps
have warmed it. Contestants begin with the same weights, and take batches of the same number of instances.

    python -m benchmarks.pretrain_peers --name plain --instances I --model M --result R.json
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jsonargparse
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.train.checkpoint import State
from pipelines.train.keeper import Keeper
from pipelines.train.recipe import Cadence, Recipe

WARM_UP_STEPS = 3
LEARNING_RATE = 1e-4


class Contestant(Protocol):
    """A loaded model under training."""

    def train(self, steps: int) -> tuple[int, float]:
        """Take so many steps: tokens that were trained on, padding not counted, and the last step's loss."""


class Plain:
    """``BertForPreTraining``, batches padded to their longest by the collator of transformers, AdamW of torch."""

    def __init__(self, instances: Path, model: Path, batch: int, *, dtype: str = "float32") -> None:
        import torch
        from transformers import AutoTokenizer, BertForPreTraining, DataCollatorForLanguageModeling

        torch.set_num_threads(os.cpu_count() or 1)
        torch.manual_seed(0)
        self.table, self.batch, self.taken = read(instances), batch, 0
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self.collate: Any = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
        self.model: Any = BertForPreTraining.from_pretrained(model).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        self.autocast = partial(torch.autocast, "cpu", getattr(torch, dtype), enabled=dtype != "float32")
        self.clip = partial(torch.nn.utils.clip_grad_norm_, list(self.model.parameters()), 1.0)
        self.order = np.random.default_rng(0).permutation(self.table.num_rows)

    def train(self, steps: int) -> tuple[int, float]:
        """See ``Contestant``."""
        tokens, loss = 0, float("nan")
        for _ in range(steps):
            rows = self.order[(self.taken + np.arange(self.batch)) % len(self.order)]
            features = [feature(row) for row in self.table.take(pa.array(rows)).to_pylist()]
            self.taken += self.batch
            tokens += sum(len(one["input_ids"]) for one in features)
            with self.autocast():
                found = self.model(**self.collate(features)).loss
            self.optimizer.zero_grad()
            found.backward()
            self.clip()
            self.optimizer.step()
            loss = float(found.detach())
        return tokens, loss


class Unkept(Keeper):
    """Keeps nothing: checkpoints are not what is measured."""

    def __init__(self) -> None:
        pass

    def newest(self) -> None:
        """There is none."""

    def is_due(self, state: State) -> bool:
        """Never."""
        return False

    def keep(self, state: State, make: Any) -> None:
        """Nothing."""


class Ours:
    """The loop that each worker of ``jobs.pretrain`` runs."""

    def __init__(self, instances: Path, model: Path, batch: int, *, precision: Any) -> None:
        import torch

        from pipelines.run.trainings.pretrain_ground import survey
        from pipelines.run.trainings.training_order import TrainingOrder
        from pipelines.store.location import locate
        from pipelines.train.network import make_network
        from pipelines.train.pretrain_course import PretrainCourse
        from pipelines.train.row_groups import list_row_groups
        from pipelines.train.supply import open_supply

        threads = os.cpu_count() or 1
        torch.set_num_threads(threads)
        self.spec = PretrainSpec(
            architecture=str(model), max_steps=1, global_batch=batch, num_streams=batch, precision=precision,
            learning_rate=LEARNING_RATE, schedule="constant", warmup=0.0,
        )  # fmt: skip
        order = TrainingOrder(instances=str(instances), output=str(model.parent / "no-output"))
        course = survey(order, self.spec, pool := TrainPool()).course
        assert isinstance(course, PretrainCourse)
        course = replace(course, held_out=list_row_groups(locate(str(instances)), []))
        self.model = make_network(course, pool).model
        self.source = open_supply(course, pool, self.model, trace=None).source

    def train(self, steps: int) -> tuple[int, float]:
        """See ``Contestant``."""
        from pipelines.train.loop import Training

        events: list[Any] = []
        training = Training(
            self.model, self.source, evaluator=lambda batches, ranks: None,
            recipe=Recipe.of(replace(self.spec, max_steps=steps)), cadence=Cadence(log_steps=1), keeper=Unkept(),
            observer=events.append,
        )  # fmt: skip
        tokens = training.run().state.tokens
        self.data_wait = sum(event.data_wait for event in events) / len(events)
        return tokens, sum(events[-1].losses.values())


def read(instances: Path) -> pa.Table:
    """The instances that ``jobs.prepare`` wrote to learn from."""
    columns = ["input_ids", "segment_b_start", "next_sentence_label", "num_tokens"]
    return ds.dataset(instances / "parts", format="parquet").to_table(columns=columns)


def feature(row: dict[str, Any]) -> dict[str, Any]:
    """An instance as collators of transformers take it."""
    ids, start = row["input_ids"], row["segment_b_start"]
    types = [0] * start + [1] * (len(ids) - start)
    return {"input_ids": ids, "token_type_ids": types, "next_sentence_label": row["next_sentence_label"]}


CONTESTANTS: dict[str, Callable[[Path, Path, int], Contestant]] = {
    "plain": Plain,
    "bfloat16": partial(Plain, dtype="bfloat16"),
    "manta-float32": partial(Ours, precision="float32"),
    "manta": partial(Ours, precision="auto"),
}


def main(name: str, instances: Path, model: Path, result: Path, batch: int = 32, steps: int = 20) -> None:
    """Run one contestant; write its seconds, its tokens and its last loss.

    Args:
        name: One of the contestants.
        instances: Output of ``jobs.prepare``.
        model: Folder of a BERT with both heads.
        result: JSON file to write.
        batch: Instances of a step.
        steps: Steps that are measured.
    """
    contestant = CONTESTANTS[name](instances, model, batch)
    contestant.train(WARM_UP_STEPS)
    begin = time.perf_counter()
    tokens, loss = contestant.train(steps)
    seconds = time.perf_counter() - begin
    found = {"seconds": seconds, "tokens": tokens, "loss": loss, "data_wait": getattr(contestant, "data_wait", None)}
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    jsonargparse.auto_cli(main, as_positional=False)
