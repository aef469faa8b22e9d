"""Those who fine-tune, each in a process of its own: transformers' Trainer as its users write it, and Manta.

All begin with the same encoder, whose head is drawn by the seed, and learn from the same texts at the same settings.
The clock runs over the training alone: tokenizing is done before it, and the evaluation after it.

    python -m benchmarks.finetune_peers --name trainer --train_data T --eval_data E --model M --seed 0 --result R.json
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jsonargparse
import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from benchmarks.pretrain_peers import Unkept
from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.spec import TokenizePool
from pipelines.train.loop import Training
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.schedule import Pace

WARM_UP_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all contestants share."""

    train_data: Path
    eval_data: Path
    model: Path
    seed: int
    batch: int = 32
    steps: int = 100
    learning_rate: float = 5e-5
    warmup: float = 0.1
    max_seqlen: int = 128


class Contestant(Protocol):
    """A loaded model, and tokenized texts."""

    def train(self) -> float:
        """Take the steps; their seconds."""

    def accuracy(self) -> float:
        """Share of the evaluation's texts whose label is told right."""


class Plain:
    """``Trainer`` with its defaults: batches drawn at random, padded to their longest by its collator."""

    def __init__(self, settings: Settings, *, bfloat16: bool = False) -> None:
        import torch
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            DataCollatorWithPadding,
            Trainer,
            TrainingArguments,
            set_seed,
        )

        torch.set_num_threads(os.cpu_count() or 1)
        set_seed(settings.seed)
        tokenizer: Any = AutoTokenizer.from_pretrained(settings.model)
        train, self._held_out = (
            tokenized(path, tokenizer, settings) for path in (settings.train_data, settings.eval_data)
        )
        network: Any = AutoModelForSequenceClassification.from_pretrained(settings.model, num_labels=2)
        make = partial(Trainer, model=network, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
        arguments = partial(
            TrainingArguments, output_dir=tempfile.mkdtemp(), per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate, warmup_steps=round(settings.warmup * settings.steps),
            weight_decay=0.01, adam_epsilon=1e-6, seed=settings.seed, bf16=bfloat16, use_cpu=True, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, per_device_eval_batch_size=64,
        )  # fmt: skip
        make(args=arguments(max_steps=WARM_UP_STEPS, learning_rate=0.0)).train()
        self._trainer = make(args=arguments(max_steps=settings.steps))

    def train(self) -> float:
        """See ``Contestant``."""
        return float(self._trainer.train().metrics["train_runtime"])

    def accuracy(self) -> float:
        """See ``Contestant``."""
        found = self._trainer.predict(self._held_out)
        logits: npt.NDArray[Any] = np.asarray(found.predictions)
        return float((logits.argmax(-1) == found.label_ids).mean())


class Ours:
    """The loop that each worker of ``jobs.finetune`` runs, over examples that its trunk made."""

    def __init__(self, settings: Settings, *, precision: Any) -> None:
        import ray
        import torch

        from jobs.entry import RayCluster, start
        from pipelines.run.finetune.examples import make_examples
        from pipelines.run.finetune.finetune_ground import survey
        from pipelines.run.finetune.finetune_order import FinetuneOrder

        threads = os.cpu_count() or 1
        spec = FinetuneSpec(
            model=str(settings.model), task="classification", max_steps=settings.steps, global_batch=settings.batch,
            learning_rate=settings.learning_rate, warmup=settings.warmup, max_seqlen=settings.max_seqlen,
            seed=settings.seed, precision=precision,
        )  # fmt: skip
        folder = settings.train_data.parent
        order = FinetuneOrder(
            train_data=str(settings.train_data), eval_data=str(settings.eval_data), output=str(folder / "no-output"),
            examples=str(folder / "examples"), progress="none",
        )  # fmt: skip
        made = make_examples(order, spec, TokenizePool(), partial(start, cluster=RayCluster(address="local")))
        ray.shutdown()
        torch.set_num_threads(threads)
        ground = survey(order, spec, TrainPool(), made)
        self._recipe = ground.course.recipe
        self._equipment = ground.course.equip(ground.assignment("benchmark", threads), Ranks(), 0)
        idle = replace(self._recipe.schedule, peak=0.0)
        self._run(replace(self._recipe, pace=Pace(max_steps=WARM_UP_STEPS), schedule=idle))

    def train(self) -> float:
        """See ``Contestant``."""
        begin = time.perf_counter()
        self._run(self._recipe)
        return time.perf_counter() - begin

    def accuracy(self) -> float:
        """See ``Contestant``."""
        found = self._equipment.evaluator(self._equipment.source.held_out(0, 1), Ranks())
        assert found is not None
        return found.metrics["accuracy"]

    def _run(self, recipe: Recipe) -> None:
        Training(
            self._equipment.model, self._equipment.source, evaluator=lambda batches, ranks: None,
            recipe=replace(recipe, deliver="last"), cadence=Cadence(log_steps=20), keeper=Unkept(),
        ).run()  # fmt: skip


def tokenized(path: Path, tokenizer: Any, settings: Settings) -> list[dict[str, Any]]:
    """Texts and labels (the names in order) as the Trainer takes them."""
    table = ds.dataset(path).to_table(columns=["text", "label"])
    names = sorted(set(table["label"].to_pylist()))
    found = tokenizer(table["text"].to_pylist(), truncation=True, max_length=settings.max_seqlen)
    labels = [names.index(one) for one in table["label"].to_pylist()]
    rows = zip(*(found[name] for name in found), labels, strict=True)
    return [dict(zip([*found, "labels"], row, strict=True)) for row in rows]


CONTESTANTS: dict[str, Callable[[Settings], Contestant]] = {
    "trainer": Plain,
    "trainer-bfloat16": partial(Plain, bfloat16=True),
    "manta-float32": partial(Ours, precision="float32"),
    "manta": partial(Ours, precision="auto"),
}


def main(name: str, settings: Settings, result: Path) -> None:
    """Run one contestant; write its seconds and its accuracy.

    Args:
        name: One of the contestants.
        settings: What it trains, on what, and how.
        result: JSON file to write.
    """
    contestant = CONTESTANTS[name](settings)
    begin = time.perf_counter()
    seconds = contestant.train()
    whole = time.perf_counter() - begin
    found = {"steps_per_second": settings.steps / seconds, "seconds": whole, "accuracy": contestant.accuracy()}
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    jsonargparse.auto_cli(main, as_positional=False)
