"""What is hashed into a fingerprint, and what is not."""

from dataclasses import replace

from pipelines.fingerprint import canonical, differences, fingerprint
from pipelines.predict_spec import PredictSpec
from pipelines.spec import Calibration, EmbedSpec


def test_fingerprint_changes_with_every_field_but_the_name_of_the_model():
    spec = EmbedSpec(model="m")
    base = fingerprint(spec, "hash")
    assert len(base) == 16
    assert base == fingerprint(EmbedSpec(model="another/place"), "hash")
    assert base != fingerprint(spec, "other hash")
    changes = {
        "text": "body", "separator": " ", "id": "key", "passthrough": ["a"], "prompt": "x", "max_seqlen": 9,
        "overlong": "chunk", "pooling": "cls", "normalize": False, "dim": 3, "precision": "float32",
        "output_dtype": "float16", "trust_remote_code": True,
    }  # fmt: skip
    assert changes.keys() | {"model", "stride"} == canonical(spec).keys()
    prints = [fingerprint(replace(spec, **{name: value}), "hash") for name, value in changes.items()]
    assert len({base, *prints}) == len(prints) + 1


def test_a_calibration_counts_only_where_it_decides_something():
    other = Calibration(num_documents=64, seed=3)
    plain = [EmbedSpec(model="m", output_dtype=dtype) for dtype in ("float32", "float16")]
    assert [fingerprint(replace(spec, calibration=other), "h") for spec in plain] == [
        fingerprint(spec, "h") for spec in plain
    ]
    codes = [EmbedSpec(model="m", output_dtype=dtype) for dtype in ("int8", "binary")]
    prints = [
        fingerprint(spec, "h") for spec in [*plain, *codes, *(replace(spec, calibration=other) for spec in codes)]
    ]
    assert len(set(prints)) == 6


def test_a_class_of_the_users_counts_where_there_is_one():
    for spec in (EmbedSpec(model="m"), PredictSpec(model="m")):
        assert "model_class" not in canonical(spec)
        prints = [fingerprint(replace(spec, model_class=name), "h") for name in ("", "a.B", "a.C")]
        assert prints[0] == fingerprint(spec, "h")
        assert len(set(prints)) == 3


def test_fingerprints_stay():
    assert fingerprint(EmbedSpec(model="m"), "hash") == "5b96d3d748ab1c1c"  # as before there was a calibration


def test_differences_name_both_values():
    ours, theirs = canonical(EmbedSpec(model="m", dim=3)), canonical(EmbedSpec(model="m"))
    assert differences(ours, theirs) == ["dim: 'auto' -> 3"]
