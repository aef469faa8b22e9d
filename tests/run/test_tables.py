from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.run.report import Corpus, Report, make_report
from pipelines.run.tally import Tally
from pipelines.schema import DeadLetter, SliceHeader


def report(num_documents: int = 20) -> Report:
    ours = Tally()
    stats = {"num_tokens": 900_000, "encode_tokens": 950_000, "encode_computed_tokens": 1e6, "read_bytes": 12.2e6}
    stats |= {"encode_compute_seconds": 250.0, "encode_wait_seconds": 0.5, "peak_bytes.encode": 1.25e9}
    letter = DeadLetter(row=3, stage="read", reason="column [text] is null")
    if num_documents:
        head = SliceHeader(shard="a", shard_id="0", first_row=0, num_documents=20, dead_letters=(letter,), stats=stats)
        ours.add(head, num_rows=19)
    phase_seconds = {"start": 9.125, "encode": 300.0} if num_documents else {"start": 2.0}
    return make_report(
        ours, Corpus(shards=2, done=2), run="20260101T000000Z-0badcafe", job="embed", output="s3://vectors",
        started=0.0, exit_code=0, phase_seconds=phase_seconds,
    )  # fmt: skip


def shown(ours: Report, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(ours.render())
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_and_says_it_all(width: int) -> None:
    text = shown(report(), width)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert "\x1b" not in text
    assert "embed 20260101T000000Z-0badcafe: 20 documents, 19 rows, 1 dead letter in 5:09" in text
    for words in (
        "s3://vectors", "900,000", "3.0k", "5.0 %", "12.2 MB", "2 of 2", "4:10", "0.50 s", "1.2 GB",
        "start 9.1 s, encode 5:00", "read: column [text] is null",
    ):  # fmt: skip
        assert words in text, words


def test_what_quantizing_costs_is_shown() -> None:
    told = {
        "output_dtype": "int8", "num_held_out": 512, "clipped_share_of_run": 0.0041,
        "float_query": {"recall_at_10": 0.99219, "rank_correlation": 0.99988},
        "code_query": {"recall_at_10": None, "rank_correlation": 0.8968},
    }  # fmt: skip
    lines = [line.split("  ") for line in shown(replace(report(), quantization=told), 80).splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ["int8 held against float32, 512 vectors", "recall@10", "rank correlation"] in cells
    assert ["query in float32", "0.9922", "0.9999"] in cells
    assert ["int8 with int8, not restored", "0.8968"] in cells
    assert ["0.41 % of this run's numbers clipped"] in cells
    binary = shown(replace(report(), quantization=told | {"output_dtype": "binary"}), 80)
    assert "binary with binary (Hamming)" in binary
    assert "clipped" not in binary
    assert "held against" not in shown(replace(report(0), quantization=told), 80)


def test_nothing_to_do_is_said_in_two_lines() -> None:
    assert shown(report(0), 80).splitlines() == ["embed: nothing to do in 0:02", "output s3://vectors"]


def test_a_run_that_only_took_parts_away_did_something() -> None:
    corpus = Corpus(vanished=1, parts_removed=3)
    assert "0 documents, 0 rows in 0:02" in shown(replace(report(0), corpus=corpus), 80)


def test_shards_set_aside_are_named_up_to_ten() -> None:
    corpus = Corpus(shards=12, set_aside={f"bad-{n:02}.parquet": "is no Parquet" for n in range(12)})
    text = shown(replace(report(), corpus=corpus), 80)
    assert "bad-09.parquet" in text
    assert "bad-10.parquet" not in text
    assert "and 2 more" in text


def test_what_else_one_should_know() -> None:
    corpus = Corpus(changed=1, vanished=2, parts_kept=7, set_aside_before=3, documents_left_out=1_000)
    text = shown(replace(report(), corpus=corpus), 120)
    for words in ("1 shard changed", "2 shards vanished: 7 parts kept", "3 shards set aside", "1,000 documents left"):
        assert words in text, words


def test_examples_are_shown_with_their_largest_classes() -> None:
    found = {"train": 90, "held_out": 9, "twins": 0, "class no": 30, "class yes": 60}
    ours = shown(replace(report(), examples=found), 80)
    assert [line.split() for line in ours.splitlines() if "held out" in line] == [
        ["train", "90", "held", "out", "9", "class", "yes", "60"]
    ]
    assert "twins" not in ours
    assert "examples" in ours
    assert "padding" not in ours
