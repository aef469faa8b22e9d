"""Pretrain a model on instances that ``jobs.prepare`` made: exact, elastic, and a Hugging Face folder at the end."""

from __future__ import annotations

from typing import Literal

from jobs.entry import RayCluster, main, show, start_ray
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.trainings.pretrain_ground import survey
from pipelines.run.trainings.training import open_training
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.spec import Storage


def pretrain(
    spec: PretrainSpec,
    instances: str = "",
    output: str = "",
    resume: bool = False,
    progress: Literal["auto", "live", "log", "json", "none"] = "auto",
    train: TrainPool = TrainPool(),
    storage: Storage = Storage(),
    user_code: str = "",
    ray: RayCluster = RayCluster(),
) -> int:
    """Pretrain a model on prepared instances: stop it when you like, and go on with --resume, on as many workers.

    Args:
        spec: What decides the model that comes out.
        instances: An output of jobs.prepare, local or s3://.
        output: Folder for the model, its checkpoints and its curves, local or s3://; {fingerprint} in it is replaced.
        resume: Go on from the newest checkpoint of the output; without one the training begins.
        progress: How progress is shown; auto: a live display in a terminal, else a line every log_steps.
        train: The workers, and how often they keep and tell what they did.
        storage: How s3:// is reached.
        user_code: Folder of Python code of your own, which goes to every node: --spec.model_class is a class in it.
        ray: Which Ray the job runs on.
    """
    order = TrainingOrder(
        instances=instances, output=output, resume=resume, storage=storage, user_code=user_code, progress=progress
    )
    with open_training(lambda: survey(order, spec, train), progress) as training:
        if training.has_work:
            training.starting()
            start_ray(ray)
            training.follow()
        return show(training.finish())


if __name__ == "__main__":
    main(pretrain)
