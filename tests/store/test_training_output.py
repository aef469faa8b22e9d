from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import FingerprintError, SpecError
from pipelines.pretrain_spec import PretrainSpec
from pipelines.store.location import Location, locate
from pipelines.store.training_output import TrainingSpec, claim, instances_hash

SPEC = PretrainSpec(architecture="bert-tiny", max_steps=100)
MODEL = {"reference": "bert-tiny", "hash": "a" * 64}
INSTANCES = {"reference": "/instances", "hash": "b" * 64}
OURS = TrainingSpec.of(SPEC, MODEL, INSTANCES)


@pytest.fixture
def output(tmp_path: Path) -> Location:
    return locate(str(tmp_path / "model"))


def test_a_training_begins_in_a_new_output(output: Location) -> None:
    claim(output, OURS, None, resume=False)
    assert TrainingSpec.from_json(output.read("_manta/spec.json")) == OURS


def test_what_began_and_has_no_checkpoint_begins_anew(output: Location) -> None:
    claim(output, OURS, None, resume=False)
    other = TrainingSpec.of(replace(SPEC, seed=1), MODEL, INSTANCES)
    claim(output, other, None, resume=True)
    assert TrainingSpec.from_json(output.read("_manta/spec.json")) == other


def test_going_on_has_to_be_asked_for(output: Location) -> None:
    claim(output, OURS, None, resume=False)
    with pytest.raises(
        SpecError, match=r"has a checkpoint of step 4,000: go on from it with --resume, or name another"
    ):
        claim(output, OURS, 4000, resume=False)
    claim(output, OURS, 4000, resume=True)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            TrainingSpec.of(replace(SPEC, seed=1, max_steps=200), MODEL, INSTANCES),
            "max_steps: 100 -> 200; seed: 0 -> 1",
        ),
        (
            TrainingSpec.of(SPEC, {"reference": "mini", "hash": "c" * 64}, INSTANCES),
            r"model: 'bert-tiny \(hash a{12}\)' -> 'mini \(hash c{12}\)'",
        ),
        (
            TrainingSpec.of(SPEC, MODEL, {"reference": "/instances", "hash": "d" * 64}),
            r"instances: '/instances \(hash b{12}\)' -> '/instances \(hash d{12}\)'",
        ),
    ],
)
def test_another_spec_does_not_go_on_and_touches_nothing(output: Location, other: TrainingSpec, told: str) -> None:
    claim(output, OURS, None, resume=False)
    with pytest.raises(FingerprintError, match=rf"of another training: {told}; nothing was touched: go on with"):
        claim(output, other, 4000, resume=True)
    assert TrainingSpec.from_json(output.read("_manta/spec.json")) == OURS


def test_instances_that_were_moved_are_the_same(output: Location) -> None:
    claim(output, OURS, None, resume=False)
    claim(output, TrainingSpec.of(SPEC, MODEL, INSTANCES | {"reference": "s3://b/instances"}), 10, resume=True)


def test_a_schedule_that_does_not_fall_has_no_share_that_falls() -> None:
    assert TrainingSpec.of(replace(SPEC, decay=0.5), MODEL, INSTANCES).fingerprint == OURS.fingerprint
    falling = replace(SPEC, schedule="wsd")
    assert (
        TrainingSpec.of(replace(falling, decay=0.5), MODEL, INSTANCES).fingerprint
        != TrainingSpec.of(falling, MODEL, INSTANCES).fingerprint
    )


def test_somebody_elses_results_are_not_written_over(output: Location) -> None:
    output.put("config.json", b"{}")
    with pytest.raises(SpecError, match=r"holds a model already, and no checkpoint to go on from: name another"):
        claim(output, OURS, None, resume=True)
    output.remove(["config.json"])
    output.put("parts/0123456789abcdef/0-10.parquet", b"")
    with pytest.raises(SpecError, match=r"holds parts of another job \(such as parts/0123"):
        claim(output, OURS, None, resume=False)
    assert not output.stat("_manta/spec.json")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"format": 1, "kind": "EmbedSpec", "slicing": {}}, r"results of another kind \(EmbedSpec\)"),
        ({"format": 9}, "not of format 1"),
    ],
)
def test_a_spec_of_another_job_is_refused(output: Location, content: dict[str, object], told: str) -> None:
    output.put("_manta/spec.json", json.dumps(content).encode())
    with pytest.raises(FingerprintError, match=rf"is not of a training \(.*{told}.*; nothing was touched"):
        claim(output, OURS, None, resume=False)


def test_checkpoints_of_unknown_origin_are_not_gone_on_from(output: Location) -> None:
    with pytest.raises(FingerprintError, match=r"has checkpoints but no _manta/spec.json"):
        claim(output, OURS, 4000, resume=True)


def test_instances_are_told_by_what_made_them_and_by_their_parts() -> None:
    parts = [("parts/a/0-10.parquet", 40), ("parts/b/0-10.parquet", 7)]
    ours = instances_hash("f" * 16, parts)
    assert ours == instances_hash("f" * 16, iter(parts))
    others = [
        instances_hash("e" * 16, parts),
        instances_hash("f" * 16, parts[::-1]),
        instances_hash("f" * 16, parts[:1]),
    ]
    others.append(instances_hash("f" * 16, [parts[0], ("parts/b/0-10.parquet", 8)]))
    assert len({ours, *others}) == 5
