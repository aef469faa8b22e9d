"""Prepare a corpus for pretraining: sharded Parquet text in, unmasked instances out, exactly once."""

from __future__ import annotations

from jobs.entry import RayCluster, main, show, start
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.duplicates import find_duplicates
from pipelines.run.order import Order, Rates, Removed, Shown, order_of
from pipelines.run.prepare.length_picture import with_picture
from pipelines.run.prepare.own_tokenizer import with_tokenizer
from pipelines.run.trunk import open_run
from pipelines.spec import Slicing, Storage, TokenizePool
from pipelines.stages.instances import make_instances
from pipelines.stages.read import read
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.stages.write_instances import write_instances


def prepare(
    spec: PrepareSpec,
    documents: str | list[str] = "",
    output: str = "",
    limit: int = 0,
    since: str = "",
    until: str = "",
    removed: Removed = "keep",
    max_dead_letters: float = 0.05,
    retry_dead_letters: bool = False,
    progress: Shown = "auto",
    slicing: Slicing = Slicing(),
    cpu: TokenizePool = TokenizePool(),
    storage: Storage = Storage(),
    rates: Rates = Rates(),
    ray: RayCluster = RayCluster(),
) -> int:
    """Make pretraining instances of a corpus of Parquet text, exactly once: run it again, and it does what is left.

    Args:
        spec: What decides the instances.
        documents: The corpus: a file, folder, glob or list of them, local or s3://.
        output: Folder for the instances, local or s3://; {fingerprint} in it is replaced.
        limit: Take the corpus to end after so many documents, for a trial; 0: all.
        since: Look at folders by day (date=2026-11-23) from this day on alone.
        until: Look at folders by day up to this day, which is left out.
        removed: What becomes of the instances of shards that vanished.
        max_dead_letters: Largest share of documents that may be dead letters.
        retry_dead_letters: Make the slices again that hold dead letters, and try shards again that were set aside.
        progress: How progress is shown; auto: a live display in a terminal, else a line a minute.
        slicing: How shards are cut into slices and parts; a random next is from the same slice.
        cpu: Actors that cut, tokenize and pair.
        storage: How s3:// is reached.
        rates: What makers (--rates.cpu) cost and how fast they are, for --plan and for the report.
        ray: Which Ray the job runs on.
    """
    order = order_of(Order, "prepare", locals())
    with open_run(order, recipe := TokenizerRecipe.of(with_tokenizer(spec, order), storage)) as run:
        if run.plan.stretches:
            pools = start(run, ray, cpu)
            find_duplicates(run, pools)
            texts = read(run.plan.stretches, run.reading, **pools.read)
            instances = make_instances(texts, recipe, pools.make, run.output)
            columns = run.ground.columns
            run.follow(write_instances(instances, run.output, columns, run.metadata, pools.write), pools.placement)
        return show(with_picture(run.output, run.finish()))


if __name__ == "__main__":
    main(prepare)
