from __future__ import annotations

import time

import pytest

from pipelines.run.slice_metrics import SliceMetrics
from pipelines.run.tally import Tally
from pipelines.schema import DeadLetter, SliceHeader
from tests.recorded import recorded

LETTER = DeadLetter(row=0, stage="read", reason="the text is null")
ENCODED = {
    "num_tokens": 90.0, "encode_tokens": 90.0, "encode_computed_tokens": 100.0, "encode_compute_seconds": 2.0,
    "encode_convert_seconds": 1.0, "encode_wait_seconds": 1.0,
}  # fmt: skip


def header(**more: object) -> SliceHeader:
    return SliceHeader(shard="a", shard_id="0", first_row=0, num_documents=4, **more)  # type: ignore[arg-type]


def test_slices_add_up_and_shares_are_of_the_run_so_far() -> None:
    tally, came = Tally(), time.time()
    with recorded() as told:
        metrics = SliceMetrics("embed", "r")
        for slices in (
            header(stats=ENCODED, dead_letters=(LETTER,)),
            header(stats=ENCODED | {"encode_wait_seconds": 4.0}),
        ):
            tally.add(slices, num_rows=3)
            metrics.note(slices, {"num_rows": 3, "part_bytes": 1000}, tally)
        metrics.set_aside(2)
        metrics.close()
    assert came <= told.values.pop("manta_progress_timestamp_seconds") <= time.time()
    assert told.values == pytest.approx(
        {
            "manta_documents_total": 8,
            "manta_rows_total": 6,
            "manta_slices_total": 2,
            "manta_written_bytes_total": 2000,
            "manta_tokens_total": 180,
            "manta_dead_letters_total": 1,
            "manta_shards_set_aside_total": 2,
            "manta_computed_tokens_total": 200,
            "manta_padding_tokens_total": 20,
            "manta_padding_ratio": 0.1,
            "manta_encode_busy_seconds_total": 6,
            "manta_encode_idle_seconds_total": 5,
            "manta_encode_busy_ratio": 6 / 11,
        }
    )
    assert told.tags == {(("job_name", "embed"), ("run", "r"))}


def test_a_job_that_encodes_nothing_has_no_shares() -> None:
    tally = Tally()
    with recorded() as told:
        metrics = SliceMetrics("prepare", "r")
        tally.add(made := header(stats={"num_tokens": 50.0}), num_rows=7)
        metrics.note(made, {"num_rows": 7, "part_bytes": 10}, tally)
        metrics.set_aside(0)
        metrics.close()
    assert told.values.keys() == {
        "manta_progress_timestamp_seconds", "manta_slices_total", "manta_documents_total", "manta_rows_total",
        "manta_written_bytes_total", "manta_tokens_total",
    }  # fmt: skip


def test_of_a_shard_that_broke_nothing_is_counted() -> None:
    with recorded() as told:
        metrics = SliceMetrics("embed", "r")
        metrics.note(header(error="truncated"), {"num_rows": 0}, Tally())
        metrics.close()
    assert told.values.keys() == {"manta_progress_timestamp_seconds"}
