from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import FingerprintError, SpecError
from pipelines.fingerprint import fingerprint
from pipelines.spec import EmbedSpec, Slicing
from pipelines.store.location import Location, locate
from pipelines.store.models import ModelReference
from pipelines.store.output import KEY, OutputSpec, beside, claim, expand, read_spec

MODEL = ModelReference(reference="models/mini", resolved="/data/models/mini", kind="folder", hash="ab" * 32)
SPEC = EmbedSpec(model="models/mini", max_seqlen=128, pooling="mean", normalize=True, dim=384, prompt="")


def output_spec(of: ModelReference = MODEL, slicing: Slicing = Slicing(), **fields: object) -> OutputSpec:
    spec = replace(SPEC, **fields)  # type: ignore[arg-type]
    return OutputSpec.of(spec, of, slicing, {"types": {"id": "int64"}})


def files(output: Location) -> dict[str, str]:
    return {entry.key: entry.version for entry in output.list()}


def test_a_new_output_is_ours_and_stays_so(output: Location) -> None:
    ours = output_spec()
    assert read_spec(output) is None
    assert claim(output, ours) == ours
    assert read_spec(output) == ours
    before = files(output)
    assert claim(output, ours) == ours
    assert files(output) == before


def test_what_is_written_is_for_people_too(output: Location) -> None:
    claim(output, output_spec())
    written = json.loads(output.read(KEY))
    assert written["fingerprint"] == fingerprint(SPEC, MODEL.hash)
    assert written["kind"] == "EmbedSpec"
    assert written["spec"]["max_seqlen"] == 128
    assert written["model"]["hash"] == MODEL.hash
    assert written["slicing"] == {"max_bytes": 16777216, "max_output_bytes": 268435456, "max_rows": 4096}
    assert written["columns"] == {"types": {"id": "int64"}}


def test_the_slicing_and_id_of_an_existing_output_stay(output: Location) -> None:
    first = output_spec(slicing=Slicing(max_rows=256))
    claim(output, first)
    later = replace(output_spec(slicing=Slicing(max_rows=16384)), columns={"types": {"id": "string"}})
    assert claim(output, later) == first


def test_one_model_under_two_names_is_one_model(output: Location) -> None:
    claim(output, output_spec())
    other = replace(MODEL, reference="s3://models/mini", resolved="s3://models/mini", kind="uri")
    assert claim(output, output_spec(other, model="s3://models/mini")).model["reference"] == "models/mini"


def test_another_spec_is_refused_with_what_differs_and_nothing_is_touched(tmp_path: Path) -> None:
    output = locate(str(tmp_path / "vectors"))
    first = output_spec()
    claim(output, first)
    before = files(output)
    ours = output_spec(max_seqlen=256, pooling="cls")
    with pytest.raises(FingerprintError) as refusal:
        claim(output, ours)
    assert str(refusal.value) == (
        f"{output} holds results of another spec ({first.fingerprint}, ours is {ours.fingerprint}): "
        "max_seqlen: 128 -> 256; pooling: 'mean' -> 'cls'; nothing was touched: write beside it with "
        f"--output {tmp_path}/{{fingerprint}}/, or go back to that spec"
    )
    assert files(output) == before


def test_another_model_under_the_same_name_is_refused(output: Location) -> None:
    claim(output, output_spec())
    with pytest.raises(FingerprintError, match=r"'models/mini \(hash abababababab\)' -> 'models/mini \(hash cdcdcd"):
        claim(output, output_spec(replace(MODEL, hash="cd" * 32)))


def test_parts_without_a_spec_are_somebody_elses(output: Location) -> None:
    output.put("parts/aa/0-10.parquet", b"")
    before = files(output)
    with pytest.raises(FingerprintError, match=r"parts/aa/0-10\.parquet\) but no _manta/spec\.json"):
        claim(output, output_spec())
    assert files(output) == before


def test_other_files_are_no_parts(output: Location) -> None:
    output.put("_manta/lease.json", b"{}")
    output.put("README.md", b"")
    assert claim(output, output_spec()) == output_spec()


def damaged() -> dict[str, bytes]:
    good = json.loads(output_spec().to_json())
    changes = {
        "newer format": {"format": 2},
        "unknown field": {"colour": "red"},
        "wrong slicing": {"slicing": {"max_rows": 0}},
        "no slicing": {"slicing": None},
        "no model": {"model": []},
        "no spec": {"spec": "SPEC"},
    }
    written = {name: json.dumps(good | change).encode() for name, change in changes.items()}
    missing = json.dumps({name: value for name, value in good.items() if name != "fingerprint"}).encode()
    return (
        {"empty": b"", "cut": output_spec().to_json()[:-5], "bytes": b"\xff\xfe\x00", "list": b"[]"}
        | written
        | {"missing field": missing}
    )


@pytest.mark.parametrize("damage", damaged())
def test_a_damaged_spec_is_refused_with_a_remedy(tmp_path: Path, damage: str) -> None:
    output = locate(str(tmp_path / "vectors"))
    output.put(KEY, damaged()[damage])
    with pytest.raises(FingerprintError, match=r"spec\.json cannot be read \(.*\), .*nothing was touched: restore it"):
        claim(output, output_spec())
    assert output.read(KEY) == damaged()[damage]


def test_of_two_specs_that_claim_at_once_one_wins(output: Location) -> None:
    for number in range(5):
        place, start = output.join(str(number)), threading.Barrier(4)
        won: list[OutputSpec] = []

        def attempt(max_seqlen: int, place: Location = place, start: threading.Barrier = start) -> None:
            start.wait()
            with suppress(FingerprintError):
                won.append(claim(place, output_spec(max_seqlen=max_seqlen)))  # noqa: B023

        threads = [threading.Thread(target=attempt, args=(length,)) for length in (100, 200, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [read_spec(place)] * 2  # both that ask for the one spec, neither that asks for the other


def test_the_fingerprint_is_filled_in() -> None:
    assert expand("s3://vectors/{fingerprint}/", "ab12") == "s3://vectors/ab12/"
    assert expand("/data/vectors", "ab12") == "/data/vectors"
    with pytest.raises(SpecError, match=r"has \{finger\}: the only word in braces is \{fingerprint\}"):
        expand("/data/{finger}/", "ab12")


@pytest.mark.parametrize(
    ("uri", "advice"),
    [
        ("s3://bucket/vectors/", "s3://bucket/{fingerprint}/"),
        ("s3://bucket", "s3://bucket/{fingerprint}/"),
        ("/data/vectors", "/data/{fingerprint}/"),
        ("/vectors", "/{fingerprint}/"),
    ],
)
def test_the_advice_names_a_neighbour(uri: str, advice: str) -> None:
    assert beside(locate(uri)) == f"write beside it with --output {advice}"
