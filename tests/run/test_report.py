from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.model.calibration import calibrate
from pipelines.run.placement import Actors, Placement
from pipelines.run.report import (
    Corpus,
    Report,
    count_examples,
    installed_versions,
    make_report,
    peak_share,
    quantization,
)
from pipelines.run.tally import Tally
from pipelines.schema import DeadLetter, SliceHeader
from pipelines.spec import EmbedSpec

STATS = {
    "read_seconds": 0.5, "read_bytes": 1000, "repeated_ids": 1, "tokenize_seconds": 0.25, "num_tokens": 900,
    "truncated": 2, "encode_wait_seconds": 1.0, "encode_compute_seconds": 2.0, "encode_convert_seconds": 0.125,
    "encode_tokens": 950, "encode_computed_tokens": 1000, "encode_flops": 989e12, "write_seconds": 0.25,
    "write_bytes": 4000, "peak_bytes.encode": 2e9,
}  # fmt: skip
PLACEMENT = Placement(
    read_tasks=1, read_cpus=0.5, tokenize_actors=2, tokenize_cpus=1, encode_actors=Actors(2, 2, 2), encode_cpus=0,
    encode_gpus=0.5, num_threads=1, write_actors=1, write_cpus=0.25, object_store_bytes=1,
)  # fmt: skip


def tally(chip: str = "NVIDIA H200") -> Tally:
    ours = Tally()
    letter = DeadLetter(row=3, stage="read", reason="text is null")
    for first in (0, 10):
        facts = {"precision": "bfloat16", "chip": chip}
        head = SliceHeader(
            shard="a", shard_id="0", first_row=first, num_documents=10, dead_letters=(letter,), stats=STATS, facts=facts
        )
        ours.add(head, num_rows=9)
    return ours


def report(**changes: object) -> Report:
    corpus = Corpus(shards=2, done=1, set_aside={"b.parquet": "is truncated"}, parts_added=2)
    return replace(
        make_report(
            tally(), corpus, run="20260101T000000Z-0badcafe", job="embed", output="/vectors", started=0.0, exit_code=3,
            phase_seconds={"start": 5.0, "encode": 4.5, "commit": 0.5}, placement=PLACEMENT, versions={"ray": "2.60.0"},
        ),
        **changes,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_sums_of_the_slices() -> None:
    ours = report()
    assert (ours.documents, ours.rows, ours.num_dead_letters, ours.slices) == (20, 18, 2, 2)
    assert ours.documents == ours.rows + ours.num_dead_letters
    assert ours.dead_letters == {"read: text is null": 2}
    assert (ours.tokens, ours.computed_tokens, ours.truncated, ours.repeated_ids) == (1800, 2000, 4, 2)
    assert (ours.read_bytes, ours.write_bytes, ours.peak_bytes) == (2000, 8000, {"encode": 2_000_000_000})
    assert ours.stage_seconds == {
        "read": 1.0, "tokenize": 0.5, "encode wait": 2.0, "encode compute": 4.0, "encode convert": 0.25,
        "instances": 0.0, "examples": 0.0, "write": 0.5,
    }  # fmt: skip


def test_what_follows_from_the_sums() -> None:
    ours = report()
    assert ours.seconds == 10.0
    assert ours.tokens_per_second == 1800 / 4.5
    assert ours.padding_fraction == pytest.approx(0.05)
    assert ours.started == "1970-01-01T00:00:00+00:00"


def test_the_share_of_the_peak_counts_gpu_seconds() -> None:
    # 2 x 989e12 useful FLOPs in 4 actor seconds of half an H200 (989e12 FLOP/s) each: 2 GPU seconds at the peak.
    assert peak_share(tally(), PLACEMENT) == pytest.approx(1.0)
    assert peak_share(tally(), replace(PLACEMENT, encode_gpus=1.0)) == pytest.approx(0.5)


def test_an_unknown_peak_gives_no_share() -> None:
    assert peak_share(tally("some chip"), PLACEMENT) is None
    assert peak_share(tally(), replace(PLACEMENT, encode_gpus=0.0)) is None
    assert peak_share(tally(), None) is None
    assert peak_share(Tally(), PLACEMENT) is None


def test_quantizing_is_told_with_the_share_that_this_run_clipped() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    calibrated = calibrate(vectors, np.arange(40), EmbedSpec(model="m", dim=8, output_dtype="int8"))
    counted = tally()
    counted.stats["clipped_numbers"] = 9  # of 18 rows x 8
    told = quantization(counted, calibrated)
    assert told["clipped_share_of_run"] == pytest.approx(0.0625)
    assert (told["output_dtype"], told["num_held_out"]) == ("int8", 20)
    assert told["float_query"]["recall_at_10"] == calibrated.float_query.recall_at_10
    assert json.loads(report(quantization=told).to_json())["quantization"] == told
    assert report().quantization is None


def test_json_holds_the_fields_and_what_follows() -> None:
    ours = json.loads(report().to_json())
    assert ours["corpus"]["set_aside"] == {"b.parquet": "is truncated"}
    assert ours["placement"]["encode_actors"] == [2, 2, 2]
    assert ours["tokens_per_second"] == 400
    assert ours["exit_code"] == 3


def test_versions_are_those_installed() -> None:
    import ray

    assert installed_versions()["ray"] == ray.__version__


def test_examples_are_counted_by_what_they_are() -> None:
    stats = {"instances.train": 5.0, "instances.documents": 9.0, "examples.twins": 1.0, "examples.class a": 5.0}
    assert count_examples(stats) == {"train": 5, "held_out": 0, "class a": 5, "twins": 1}
    assert report().examples is None
