"""A masked language model under training: for so many steps or seconds, on all cores, logits at hidden tokens alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM
from transformers.utils import logging

from examples.masking import IGNORED, Batch
from pipelines.model.device import DTYPES, Precision, pick_device, pick_lanes, pick_precision

LEARNING_RATE, WARM_UP = 5e-4, 0.1
"""The largest step size, and after what share of the training it is reached; from there it falls to 0."""
NUM_LINES = 15
MAX_LANES = 4
"""Batches of a step at most: more tokens a step do not help as much as more steps."""


@dataclass(frozen=True)
class Pace:
    """How far a training is: by its steps where their number is given, else by the clock."""

    seconds: float
    steps: int = 0
    clock: Callable[[], float] = time.monotonic

    def progress(self, step: int, begin: float) -> float:
        """0 at the beginning, 1 or more where it is over."""
        return (step + 0.5) / self.steps if self.steps else (self.clock() - begin) / self.seconds


@dataclass(frozen=True)
class Told:
    """How well hidden tokens are told: mean loss in nats a token, and the share where the likeliest one is right."""

    loss: float
    accuracy: float

    def __str__(self) -> str:
        return f"loss {self.loss:.2f}, {self.accuracy:.0%} of the hidden tokens guessed"


class MaskedLanguageModel:
    """A BertForMaskedLM under training. Logits are made at hidden tokens alone.

    Dropout stays off: it is of use where a text comes round often.
    """

    def __init__(self, folder: Path, seed: int, precision: Precision | Literal["auto"] = "auto") -> None:
        torch.manual_seed(seed)
        logging.set_verbosity_error()  # that the head is new is as it should be
        logging.disable_progress_bar()
        self.device = pick_device("auto")
        # Eager: the backward pass of torch's own attention takes a third longer on a CPU.
        self.model: Any = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager").to(self.device).eval()
        self.parameters: list[Tensor] = list(self.model.parameters())
        self._dtype = DTYPES[pick_precision(precision, self.device)]

    def know_frequencies(self, values: np.ndarray) -> None:
        """Begin where hidden tokens are told by how frequent each is in the corpus, which saves the first minute."""
        counts = np.bincount(values, minlength=self.model.config.vocab_size) + 0.1
        with torch.no_grad():
            self.model.cls.predictions.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """float32[M, V] at the batch's M hidden tokens, and the ids int64[M] of what they were."""
        ids, attention, labels = (torch.from_numpy(array).to(self.device) for array in vars(batch).values())
        wanted = labels != IGNORED
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden = self.model.bert(ids, attention_mask=attention).last_hidden_state
            return self.model.cls(hidden[wanted]).float(), labels[wanted]

    def gradients(self, batch: Batch) -> tuple[float, int, tuple[Tensor, ...]]:
        """Of a batch the sum of its losses, the number of its hidden tokens, and the gradient of that sum."""
        logits, labels = self.logits(batch)
        loss = cross_entropy(logits, labels, reduction="sum")
        return float(loss.detach()), len(labels), torch.autograd.grad(loss, self.parameters)

    @torch.inference_mode()
    def hits(self, batch: Batch) -> tuple[float, int, int]:
        """Of a batch the sum of its losses, how many hidden tokens are guessed, and how many there are."""
        logits, labels = self.logits(batch)
        loss = float(cross_entropy(logits, labels, reduction="sum"))
        return loss, int((logits.argmax(-1) == labels).sum()), len(labels)


class Lanes(ThreadPoolExecutor):
    """Threads with a batch each: where others work too, threads that share a batch wait for each other all the time."""

    def __init__(self, device: torch.device) -> None:
        cores = pick_lanes("auto", device)
        self.count = min(cores, MAX_LANES)
        super().__init__(self.count, "lane", initializer=torch.set_num_threads, initargs=(cores // self.count,))


def told(lm: MaskedLanguageModel, batches: Iterator[Batch]) -> Told:
    """How well the hidden tokens of all batches are told."""
    with Lanes(lm.device) as lanes:
        loss, right, count = map(sum, zip(*lanes.map(lm.hits, batches), strict=True))
    return Told(loss / count, right / count)


@dataclass
class Trained:
    """What a training came to. Padding is not counted."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s: {self.steps:,} steps, {self.tokens:,} tokens"


def train(
    lm: MaskedLanguageModel,
    batches: Iterator[Batch],
    pace: Pace,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train the whole network for as long as the pace says, and say a few times how it goes.

    A step takes a batch a lane. AdamW, its steps growing and then falling as the training progresses.
    """
    optimizer = torch.optim.AdamW(lm.parameters, betas=(0.9, 0.98), fused=True)
    trained, begin, losses, lines = Trained(), pace.clock(), [], 0
    with Lanes(lm.device) as lanes:
        while (progress := pace.progress(trained.steps, begin)) < 1:
            step = list(islice(batches, lanes.count))
            losses.append(_step(optimizer, list(lanes.map(lm.gradients, step)), LEARNING_RATE * rate(progress)))
            trained.steps += 1
            trained.tokens += sum(int(batch.attention_mask.sum()) for batch in step)
            trained.seconds = pace.clock() - begin
            if progress * NUM_LINES >= lines:
                lines = int(progress * NUM_LINES) + 1
                say(f"{trained}, loss {np.mean(losses):.2f}")
                losses.clear()
    return trained


def rate(progress: float) -> float:
    """Share of the largest step size: up in a line, then down in a line."""
    return min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))


def _step(optimizer: Any, found: list[tuple[float, int, tuple[Tensor, ...]]], learning_rate: float) -> float:
    """Take a step by the mean over the hidden tokens of all batches; give back their mean loss."""
    losses, counts, gradients = zip(*found, strict=True)
    (group,) = optimizer.param_groups
    group["lr"] = learning_rate
    for parameter, parts in zip(group["params"], zip(*gradients, strict=True), strict=True):
        parameter.grad = sum(parts[1:], parts[0]) / sum(counts)
    torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimizer.step()
    return float(sum(losses) / sum(counts))
