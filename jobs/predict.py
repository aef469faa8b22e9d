"""Predict over a corpus: fillings of masks, pseudo-perplexities, classes, vectors and more, exactly once."""

from __future__ import annotations

from jobs.entry import RayCluster, main, show, start
from pipelines.predict_spec import PredictSpec
from pipelines.run.answers.view import View
from pipelines.run.order import Order, Rates, Removed, Shown, order_of
from pipelines.run.trunk import open_run
from pipelines.spec import EncodePool, Slicing, Storage, TokenizePool
from pipelines.stages import predict as stage
from pipelines.stages.read import read
from pipelines.stages.recipe import Recipe
from pipelines.stages.tokenize import tokenize
from pipelines.stages.write import write


def predict(
    spec: PredictSpec,
    documents: str | list[str] = "",
    output: str = "",
    text: str = "",
    text_pair: str = "",
    view: View = View(),
    limit: int = 0,
    since: str = "",
    until: str = "",
    removed: Removed = "keep",
    max_dead_letters: float = 0.05,
    retry_dead_letters: bool = False,
    progress: Shown = "auto",
    slicing: Slicing = Slicing(max_rows=256),
    cpu: TokenizePool = TokenizePool(),
    gpu: EncodePool = EncodePool(),
    storage: Storage = Storage(),
    rates: Rates = Rates(),
    user_code: str = "",
    ray: RayCluster = RayCluster(),
) -> int:
    """Predict over a corpus of Parquet text, exactly once: run it again, and it does what is left.

    Args:
        spec: What decides the predictions.
        documents: The corpus: a file, folder, glob or list of them, local or s3://.
        output: Folder for the predictions, local or s3://; {fingerprint} in it is replaced.
        text: Predict for this one text instead, without Ray, and show the predictions.
        text_pair: The second text that belongs to it.
        view: How they are shown.
        limit: Take the corpus to end after so many documents, for a trial; 0: all.
        since: Look at folders by day (date=2026-11-23) from this day on alone.
        until: Look at folders by day up to this day, which is left out.
        removed: What becomes of the predictions of shards that vanished.
        max_dead_letters: Largest share of documents that may be dead letters.
        retry_dead_letters: Make the slices again that hold dead letters, and try shards again that were set aside.
        progress: How progress is shown; auto: a live display in a terminal, else a line a minute.
        slicing: How shards are cut into slices and parts; frozen with an output's first run.
        cpu: Actors that tokenize.
        gpu: Actors that predict.
        storage: How s3:// is reached.
        rates: What actors cost and how fast they are, for --plan and for the report.
        user_code: Folder of Python code of your own, which goes to every node: --spec.model_class is a class in it.
        ray: Which Ray the job runs on.
    """
    if text or view.inspect:
        from pipelines.run.answers.answer import answer  # torch, which only the actors need otherwise

        return answer(spec, text, view, gpu, storage, text_pair=text_pair, user_code=user_code)
    with open_run(order_of(Order, "predict", locals()), recipe := Recipe.of(spec, storage, user_code)) as run:
        if run.plan.stretches:
            pools = start(run, ray, cpu, gpu)
            chunks = tokenize(read(run.plan.stretches, run.reading, **pools.read), recipe, pools.tokenize)
            rows = stage.predict(chunks, recipe, gpu, pools.encode, num_threads=pools.num_threads)
            columns = stage.part_columns(run.ground.columns, recipe.spec)
            run.follow(write(rows, run.output, columns, run.metadata, pools.write), pools.placement)
        return show(run.finish())


if __name__ == "__main__":
    main(predict)
