"""Fine-tune an encoder on labelled Parquet: exact, elastic, and the best by its metric as a Hugging Face folder."""

from __future__ import annotations

from functools import partial
from typing import Literal

from jobs.entry import RayCluster, main, show, start, start_ray
from pipelines.finetune_spec import FinetuneSpec
from pipelines.learning_spec import TrainPool
from pipelines.run.finetune.examples import make_examples
from pipelines.run.finetune.finetune_ground import check_request, survey
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.finetune.sweep import Sweep
from pipelines.run.finetune.sweeping import run_sweep
from pipelines.run.trainings.training import open_training
from pipelines.spec import Slicing, Storage, TokenizePool


def finetune(
    spec: FinetuneSpec,
    train_data: str | list[str] = "",
    output: str = "",
    eval_data: str | list[str] = "",
    examples: str = "",
    limit: int = 0,
    resume: bool = False,
    max_dead_letters: float = 0.05,
    progress: Literal["auto", "live", "log", "json", "none"] = "auto",
    sweep: Sweep = Sweep(),
    train: TrainPool = TrainPool(keep=1),
    cpu: TokenizePool = TokenizePool(),
    slicing: Slicing = Slicing(),
    storage: Storage = Storage(),
    user_code: str = "",
    ray: RayCluster = RayCluster(),
) -> int:
    """Fine-tune an encoder on labelled text: stop it when you like, and go on with --resume, on as many workers.

    Args:
        spec: What decides the model that comes out.
        train_data: Labelled Parquet to learn from: a file, folder, glob or list of them, local or s3://.
        output: Folder for the model, its metrics and checkpoints, local or s3://; {fingerprint} in it is replaced.
        eval_data: Labelled Parquet to evaluate on; "": a share of train_data, spec.eval_share, is held out for that.
        examples: Folder for the tokenized examples, for several trainings to share; "": "examples" in the output.
        limit: Take train_data to end after so many rows, for a trial; 0: all.
        resume: Go on from the newest checkpoint of the output; without one the training begins.
        max_dead_letters: Largest share of rows that may be dead letters: without a text, or a label that is known.
        progress: How progress is shown; auto: a live display in a terminal, else lines.
        sweep: Values to train with in place of the spec's, all their combinations: a table of them, and the best model.
        train: The workers, and how often they keep, evaluate and tell what they did; at least once an epoch evaluate.
        cpu: Actors that tokenize.
        slicing: How shards are cut into slices and parts.
        storage: How s3:// is reached.
        user_code: Folder of Python code of your own, which goes to every node: --spec.model_class is a class in it.
        ray: Which Ray the job runs on.
    """
    order = FinetuneOrder(
        train_data=train_data, output=output, eval_data=eval_data, examples=examples, resume=resume, storage=storage,
        user_code=user_code, progress=progress, slicing=slicing, limit=limit, max_dead_letters=max_dead_letters,
    )  # fmt: skip
    make = partial(make_examples, cpu=cpu, start=partial(start, cluster=ray))
    if sweep:
        return show(run_sweep(order, spec, train, sweep, make, partial(start_ray, ray)))
    check_request(order, spec, train)
    made = make(order, spec)
    with open_training(lambda: survey(order, spec, train, made), progress) as training:
        if training.has_work:
            training.starting()
            start_ray(ray)
            training.follow()
        return show(training.finish()) or made.exit_code


if __name__ == "__main__":
    main(finetune)
