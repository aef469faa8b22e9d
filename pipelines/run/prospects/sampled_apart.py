"""A sample tokenized in a task of Ray: a document that kills the process that works on it leaves the driver alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event

import ray

from pipelines.run.prospects.sample import sample_of
from pipelines.run.prospects.sampled import NUM_DOCUMENTS, SEED, Sampled, take_sample
from pipelines.spec import DocumentSpec
from pipelines.stages.read import Reading, Stretch
from pipelines.stages.recipe import Recipe

LOOK_SECONDS = 0.5
"""How often it is looked whether the sample is still wanted."""


def take_sample_apart(
    stretches: Sequence[Stretch],
    reading: Reading,
    recipe: Recipe[DocumentSpec],
    stop: Event,
    *,
    labels: Mapping[str, str],
) -> Sampled:
    """As ``take_sample``, on a node of these labels, beside whatever runs there; RayError where the process died.

    A read task goes on in the same process afterwards, which has imported what both need.
    """
    task = ray.remote(num_cpus=0, max_retries=0, label_selector=dict(labels))(take_sample)
    answer = task.remote(sample_of(stretches, NUM_DOCUMENTS, SEED), reading, recipe)  # a corpus may have many shards
    while not stop.is_set():
        done, _ = ray.wait([answer], timeout=LOOK_SECONDS)
        if done:
            found: Sampled = ray.get(answer)
            return found
    ray.cancel(answer, force=True)
    return take_sample((), reading, recipe, stop)
