"""The runs of an output: list them, clear away what nobody needs, forget rows."""

from __future__ import annotations

from jobs.entry import main
from pipelines.errors import SpecError
from pipelines.run.upkeep.history import read_history, show_history
from pipelines.run.upkeep.retention import clear_away, forget_ids, show
from pipelines.spec import Storage
from pipelines.store.location import locate
from pipelines.store.vacuum import MIN_AGE_HOURS


def runs(
    output: str,
    vacuum: bool = False,
    forget: str = "",
    yes: bool = False,
    min_age_hours: float = MIN_AGE_HOURS,
    storage: Storage = Storage(),
) -> int:
    """List the runs of an output: what each did, and how fast.

    Args:
        output: The output of a job, local or s3://.
        vacuum: Remove parts that no manifest names, and leases of the dead, after showing them.
        forget: Remove the rows of the ids in this Parquet file from every part, for good.
        yes: Remove without asking, as scripts have to.
        min_age_hours: Files younger than this are not removed by --vacuum: a run may still need them.
        storage: How s3:// is reached.
    """
    if vacuum and forget:
        raise SpecError("--vacuum and --forget are given: do one after the other")
    place = locate(output, storage)
    place.check()
    if vacuum:
        return clear_away(place, yes=yes, min_age_hours=min_age_hours)
    if forget:
        return forget_ids(place, forget, yes=yes)
    return show(show_history(place, read_history(place)))


if __name__ == "__main__":
    main(runs)
