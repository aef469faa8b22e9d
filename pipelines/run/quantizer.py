"""The quantizer of a run: none for floats, else by the output's calibration, which the first run has made."""

from __future__ import annotations

import threading

import ray
from ray.exceptions import RayError, RayTaskError

from pipelines.errors import StoreError
from pipelines.model.calibration import Calibrated
from pipelines.model.quantize import Quantizer
from pipelines.run.prospects.sample import sample
from pipelines.run.start import Pools
from pipelines.run.streaming import shown_while_waiting
from pipelines.run.trunk import Run
from pipelines.spec import EncodePool
from pipelines.stages.attempts import Attempts
from pipelines.stages.calibrate import calibrate_on
from pipelines.stages.encode import encoder_settings
from pipelines.stages.read import Stretch

MOST_RETRIES = 15
"""Of a task whose process died: enough to find some documents that kill it."""


def quantizer_for(run: Run, gpu: EncodePool, pools: Pools) -> Quantizer:
    """What makes the numbers that are written. Where the output has no calibration yet, a task makes it first."""
    spec = run.ground.recipe.spec
    if not spec.is_quantized:
        return Quantizer(spec.output_dtype)
    if run.calibrated is None:
        run.calibrate(lambda: _calibrate(run, gpu, pools))
    assert run.calibrated is not None
    return run.calibrated.quantizer


def sample_of(run: Run) -> list[Stretch]:
    """Documents from all over today's corpus, whatever of it is done or left to another run."""
    known = [(shard, run.books.shards[shard.shard_id]) for shard in run.ground.shards]
    usable = [(shard, facts.num_rows) for shard, facts in known if facts.num_rows and not facts.set_aside]
    return sample(usable, run.ground.recipe.spec.calibration)


def _calibrate(run: Run, gpu: EncodePool, pools: Pools) -> Calibrated:
    """In a task, since the driver has no torch; with the share of an encoder, while those have yet to take theirs."""
    share = {"num_cpus": pools.encode.num_cpus, "num_gpus": pools.encode.num_gpus}
    where = {"label_selector": dict(pools.label_selector)}
    task = ray.remote(max_calls=1, max_retries=MOST_RETRIES, **share, **where)(calibrate_on)
    settings = encoder_settings(gpu, pools.encode, pools.num_threads)
    with shown_while_waiting(pools.placement, run.progress.waiting, threading.Event()):
        try:
            return ray.get(task.remote(sample_of(run), run.reading, run.ground.recipe, settings, Attempts()))
        except RayTaskError:
            raise  # what the task itself raised
        except RayError as error:
            raise StoreError(
                f"the process that calibrates died {MOST_RETRIES + 1} times ({type(error).__name__}): what kills it is "
                "told by the logs of the workers and of the system (too little memory, a driver); mend it and run again"
            ) from error
