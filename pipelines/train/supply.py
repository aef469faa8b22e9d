"""The instances of a pretraining as its loop takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.learning_spec import TrainPool
from pipelines.model.device import pick_precision
from pipelines.model.pretraining import PretrainingModel
from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.model.vocabulary import read_vocabulary
from pipelines.store.models import fetch
from pipelines.text.objectives import Task
from pipelines.train.feed import Feed
from pipelines.train.fitting import made_up, training_budget
from pipelines.train.instance_source import Cut, InstanceSource, Masking
from pipelines.train.source import Source
from pipelines.train.token_counts import count_tokens
from pipelines.train.trace import Trace, TracedSource

if TYPE_CHECKING:
    from pipelines.train.pretrain_course import PretrainCourse


@dataclass(frozen=True)
class Supply:
    """A source, and what whoever trains should know of it, a line each."""

    source: Source
    cautions: tuple[str, ...]
    token_counts: Callable[[int], npt.NDArray[np.int64]]
    """How often each of so many ids occurs (``count_tokens``); it reads a few row groups."""


def open_supply(course: PretrainCourse, pool: TrainPool, model: PretrainingModel, *, trace: Trace | None) -> Supply:
    """What a worker reads: masked for the course's objective, cut for its network. Nothing is read yet.

    SpecError where the tokenizer has not what the objective needs.
    """
    spec = course.spec
    tokenizer = read_tokenizer_folder(fetch(course.tokenizer, course.storage))
    feed = Feed(course.train, num_streams=spec.num_streams, seed=spec.seed)
    vocabulary = read_vocabulary(tokenizer, trust_remote_code=spec.trust_remote_code)
    task = Task(
        objective=spec.objective,
        vocabulary=vocabulary,
        seed=spec.seed,
        share=spec.mask_probability,
        whole_words=spec.whole_words,
    )
    precision = pick_precision(spec.precision, model.device)
    budget = training_budget(
        pool.token_budget, model, lambda tokens: task.batch(made_up(model.config, task, tokens)), precision
    )
    source = InstanceSource(
        feed,
        course.held_out,
        maker=Masking(task, model.flops),
        cut=Cut(token_budget=budget, padded=model.path == "padded"),
        max_held_out=spec.max_eval_instances,
    )
    cautions = tuple(feed.cautions(spec.global_batch))
    counts = partial(count_tokens, course.train, vocabulary)
    return Supply(TracedSource(source, feed, trace) if trace else source, cautions, counts)
