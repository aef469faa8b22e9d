from __future__ import annotations

from pipelines.run.tally import Tally
from pipelines.schema import DeadLetter, SliceHeader


def header(first_row: int, num_documents: int, **more: object) -> SliceHeader:
    return SliceHeader(shard="a", shard_id="0", first_row=first_row, num_documents=num_documents, **more)  # type: ignore[arg-type]


def test_stats_add_up_and_peaks_do_not() -> None:
    tally = Tally()
    tally.add(header(0, 4, stats={"num_tokens": 10, "read_seconds": 0.5, "peak_bytes.read": 300.0}), num_rows=4)
    tally.add(header(4, 3, stats={"num_tokens": 7, "read_seconds": 0.25, "peak_bytes.read": 200.0}), num_rows=5)
    assert tally.stats == {"num_tokens": 17, "read_seconds": 0.75}
    assert tally.peak_bytes == {"read": 300.0}
    assert (tally.num_slices, tally.num_documents, tally.num_rows) == (2, 7, 9)


def test_dead_letters_are_counted_by_stage_and_reason() -> None:
    tally = Tally()
    letters = [DeadLetter(row=0, stage="read", reason="text is null")] * 2
    tally.add(header(0, 4, dead_letters=(*letters, DeadLetter(row=3, stage="encode", reason="odd"))), num_rows=1)
    assert tally.reasons == {"read: text is null": 2, "encode: odd": 1}
    assert tally.num_dead_letters == 3
    assert tally.commonest_reason == "read: text is null"
    assert Tally().commonest_reason == ""


def test_what_is_behind_a_break_is_missing_not_done() -> None:
    tally = Tally()
    tally.add(header(100, 50, error="truncated", stats={"num_tokens": 3}), num_rows=0)
    assert (tally.num_missing, tally.num_slices, tally.num_documents) == (50, 0, 0)
    assert not tally.stats


def test_facts_are_told_by_how_common_they_are() -> None:
    tally = Tally()
    for precision in ("float32", "bfloat16", "bfloat16"):
        tally.add(header(0, 1, facts={"precision": precision}), num_rows=1)
    assert tally.fact("precision") == "bfloat16, float32"
    assert tally.fact("path") == ""
