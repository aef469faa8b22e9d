"""Convert files of text to a corpus: JSON lines, CSV, text or a saved dataset in, even shards of Parquet out."""

from __future__ import annotations

from typing import Literal

from jobs.entry import RayCluster, main, show, start_ray
from pipelines.convert_spec import ConvertSpec
from pipelines.run.convert.conversion import open_conversion
from pipelines.run.convert.convert_order import ConvertOrder
from pipelines.spec import Storage
from pipelines.stages.convert import convert as convert_groups


def convert(
    spec: ConvertSpec = ConvertSpec(),
    source: str | list[str] = "",
    output: str = "",
    max_dead_letters: float = 0.05,
    progress: Literal["auto", "live", "log", "json", "none"] = "auto",
    storage: Storage = Storage(),
    ray: RayCluster = RayCluster(),
) -> int:
    """Convert files of text to sharded Parquet with ids, once each: run it again, and it does what is new.

    Args:
        spec: What decides the shards.
        source: The files (.jsonl, .csv, .tsv, .txt, packed or not, .arrow), folders or globs of them, or a folder that
            datasets.save_to_disk wrote; local or s3://.
        output: Folder for the shards, local or s3://; {fingerprint} in it is replaced.
        max_dead_letters: Largest share of documents that may be dead letters.
        progress: How progress is shown; auto: a live display in a terminal, else a line a minute.
        storage: How s3:// is reached.
        ray: Which Ray the job runs on.
    """
    order = ConvertOrder(
        source=source, output=output, max_dead_letters=max_dead_letters, progress=progress, storage=storage
    )
    with open_conversion(order.run, spec) as run:
        if run.groups:
            run.starting()
            start_ray(ray)
            run.follow(convert_groups(run.groups, run.conversion, num_tasks=run.place()))
        return show(run.finish())


if __name__ == "__main__":
    main(convert)
