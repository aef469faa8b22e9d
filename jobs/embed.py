"""Embed a corpus: sharded Parquet text in, one vector a document (or chunk) out, exactly once."""

from __future__ import annotations

from jobs.entry import RayCluster, main, print_json, show, start
from pipelines.run.order import Order, Rates, Removed, Shown, order_of
from pipelines.run.quantizer import quantizer_for
from pipelines.run.trunk import open_run
from pipelines.spec import EmbedSpec, EncodePool, Slicing, Storage, TokenizePool
from pipelines.stages.encode import encode, part_columns
from pipelines.stages.read import read
from pipelines.stages.recipe import Recipe
from pipelines.stages.tokenize import tokenize
from pipelines.stages.write import write


def embed(
    spec: EmbedSpec,
    documents: str | list[str] = "",
    output: str = "",
    text: str = "",
    limit: int = 0,
    since: str = "",
    until: str = "",
    removed: Removed = "keep",
    max_dead_letters: float = 0.05,
    retry_dead_letters: bool = False,
    progress: Shown = "auto",
    slicing: Slicing = Slicing(),
    cpu: TokenizePool = TokenizePool(),
    gpu: EncodePool = EncodePool(),
    storage: Storage = Storage(),
    rates: Rates = Rates(),
    user_code: str = "",
    ray: RayCluster = RayCluster(),
) -> int:
    """Embed a corpus of Parquet text, exactly once: run it again, and it does what is left.

    Args:
        spec: What decides the vectors.
        documents: The corpus: a file, folder, glob or list of them, local or s3://.
        output: Folder for the vectors, local or s3://; {fingerprint} in it is replaced.
        text: Embed this one query instead, without Ray, and print its vector, in float32 always, as JSON.
        limit: Take the corpus to end after so many documents, for a trial; 0: all.
        since: Look at folders by day (date=2026-11-23) from this day on alone.
        until: Look at folders by day up to this day, which is left out.
        removed: What becomes of the vectors of shards that vanished.
        max_dead_letters: Largest share of documents that may be dead letters.
        retry_dead_letters: Make the slices again that hold dead letters, and try shards again that were set aside.
        progress: How progress is shown; auto: a live display in a terminal, else a line a minute.
        slicing: How shards are cut into slices and parts; frozen with an output's first run.
        cpu: Actors that tokenize.
        gpu: Actors that encode.
        storage: How s3:// is reached.
        rates: What actors cost and how fast they are, for --plan and for the report.
        user_code: Folder of Python code of your own, which goes to every node: --spec.model_class is a class in it.
        ray: Which Ray the job runs on.
    """
    if text:
        from pipelines.run.local import Encoder  # torch, which only the actors need otherwise

        print_json(Encoder(spec, gpu, storage, user_code).encode_query([text])[0].tolist())
        return 0
    with open_run(order_of(Order, "embed", locals()), recipe := Recipe.of(spec, storage, user_code)) as run:
        if run.plan.stretches:
            pools = start(run, ray, cpu, gpu)
            texts = read(run.plan.stretches, run.reading, **pools.read)
            chunks = tokenize(texts, recipe, pools.tokenize)
            quantizer = quantizer_for(run, gpu, pools)
            vectors = encode(chunks, recipe, gpu, pools.encode, num_threads=pools.num_threads, quantizer=quantizer)
            columns = part_columns(run.ground.columns, recipe.spec)
            run.follow(write(vectors, run.output, columns, run.metadata, pools.write), pools.placement)
        return show(run.finish())


if __name__ == "__main__":
    main(embed)
