from __future__ import annotations

from pipelines.train.source import Share
from tests.train.small import SmallBatch, SmallSource


def test_a_share_counts_over_its_micro_batches() -> None:
    share = Share(batches=[SmallBatch([1, 2]), SmallBatch([4])], num_tokens=3)
    assert (share.count("words"), share.count("classes")) == (4, 2)


def test_the_stand_in_of_these_tests_keeps_what_a_source_promises() -> None:
    """Shares of any number of workers are the whole, and a seek is a call."""
    whole = SmallSource()
    steps = whole.steps(0, 10, 0, 1)
    next(steps), next(steps)
    parts = SmallSource()
    for rank in range(3):
        next(parts.steps(10, 10, rank, 3))
    assert parts.seen == whole.seen[10:]
