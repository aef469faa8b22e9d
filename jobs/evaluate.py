"""Evaluate a model on data that say what is right: metrics on the terminal, in metrics.json, and as a picture."""

from __future__ import annotations

from functools import partial
from typing import Literal

from jobs.entry import RayCluster, main, show, start, start_ray
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations.evaluation import evaluate_model
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.means import Means
from pipelines.spec import EncodePool, Slicing, Storage, TokenizePool


def evaluate(
    model: str,
    data: str | list[str] = "",
    queries: str | list[str] = "",
    documents: str | list[str] = "",
    qrels: str | list[str] = "",
    output: str = "",
    spec: EvaluationSpec = EvaluationSpec(),
    limit: int = 0,
    max_dead_letters: float = 0.05,
    progress: Literal["auto", "live", "log", "json", "none"] = "auto",
    slicing: Slicing = Slicing(),
    cpu: TokenizePool = TokenizePool(),
    gpu: EncodePool = EncodePool(),
    storage: Storage = Storage(),
    user_code: str = "",
    ray: RayCluster = RayCluster(),
) -> int:
    """Evaluate a model on labelled data: run it again, and only what is new is computed.

    Args:
        model: A classifier or an embedding model: an output of jobs.finetune, another folder, a URI, a hub id.
        data: Labelled examples for a classifier, or pairs with a score for an embedding model, as Parquet: a file,
            folder, glob or list of them, local or s3://.
        queries: Queries for which an embedding model is to find documents, as Parquet.
        documents: The documents, as Parquet.
        qrels: Judgments which document is relevant to which query, as Parquet.
        output: Folder for the metrics, and for what they are made from, local or s3://.
        spec: Which columns hold what, and how they are compared.
        limit: Take each of the data to end after so many rows, for a trial; 0: all.
        max_dead_letters: Largest share of rows that may be dead letters.
        progress: How progress is shown; auto: a live display in a terminal, else a line a minute.
        slicing: How shards are cut into slices and parts; frozen with an output's first run.
        cpu: Actors that tokenize.
        gpu: Actors that run the network.
        storage: How s3:// is reached.
        user_code: Folder of Python code of your own, which goes to every node: --spec.model_class is a class in it.
        ray: Which Ray the job runs on.
    """
    order = EvaluationOrder(
        model=model, data=data, queries=queries, documents=documents, qrels=qrels, output=output, limit=limit,
        max_dead_letters=max_dead_letters, progress=progress, slicing=slicing, storage=storage,
    )  # fmt: skip
    means = Means(
        cpu=cpu, gpu=gpu, user_code=user_code, begin=partial(start, cluster=ray), join=partial(start_ray, ray)
    )
    return show(evaluate_model(order, spec, means))


if __name__ == "__main__":
    main(evaluate)
