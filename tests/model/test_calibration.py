from __future__ import annotations

import json

import numpy as np
import pytest

from pipelines.errors import ShardError
from pipelines.model.calibration import Calibrated, calibrate
from pipelines.spec import Calibration, EmbedSpec

RNG = np.random.default_rng(11)
CENTRES = RNG.normal(size=(8, 32))
VECTORS = (CENTRES[RNG.integers(0, 8, 300)] + RNG.normal(size=(300, 32))).astype(np.float32)
ROWS = np.arange(300)


def spec(dtype: str = "int8", **recipe: float) -> EmbedSpec:
    return EmbedSpec(model="m", dim=32, output_dtype=dtype, calibration=Calibration(**recipe))  # type: ignore[arg-type]


def test_one_half_sets_the_ranges_and_the_other_is_measured() -> None:
    found = calibrate(VECTORS, ROWS, spec())
    assert (found.num_documents, found.num_calibrating, found.num_held_out, found.dim) == (300, 150, 150, 32)
    ranges = found.quantizer.ranges
    outside = (ranges[0] > VECTORS) | (ranges[1] < VECTORS)
    assert 0 < outside.any(axis=1).sum() <= 150  # none of one half, some of the other
    assert found.clipped_share == pytest.approx(outside.sum() / (150 * 32))
    assert 0.99 < found.float_query.recall_at_10 <= 1  # type: ignore[operator]
    assert 0.999 < found.float_query.rank_correlation <= 1  # type: ignore[operator]


def test_chunks_of_one_document_stay_in_one_half() -> None:
    documents = ROWS // 3
    found = calibrate(VECTORS, documents, spec())
    assert (found.num_documents, found.num_calibrating, found.num_held_out) == (100, 150, 150)
    ranges = found.quantizer.ranges
    on_the_edge = ((ranges[0] == VECTORS) | (ranges[1] == VECTORS)).any(axis=1)
    assert len(np.unique(documents[on_the_edge])) <= 50


def test_the_seed_decides_and_nothing_else() -> None:
    assert calibrate(VECTORS, ROWS, spec()).to_json() == calibrate(VECTORS, ROWS, spec()).to_json()
    other = calibrate(VECTORS, ROWS, spec(seed=1))
    assert (other.quantizer.ranges != calibrate(VECTORS, ROWS, spec()).quantizer.ranges).any()


def test_a_quantile_makes_ranges_narrower() -> None:
    wide, narrow = calibrate(VECTORS, ROWS, spec()), calibrate(VECTORS, ROWS, spec(quantile=0.9))
    assert (np.ptp(narrow.quantizer.ranges, axis=0) < np.ptp(wide.quantizer.ranges, axis=0)).all()
    assert narrow.clipped_share == pytest.approx(0.1, abs=0.04)


def test_binary_costs_more_and_has_no_ranges() -> None:
    found, bytewise = calibrate(VECTORS, ROWS, spec("binary")), calibrate(VECTORS, ROWS, spec())
    assert (found.quantizer.ranges.shape, found.clipped_share) == ((2, 0), 0)
    order = [query.rank_correlation for query in (found.code_query, found.float_query, bytewise.float_query)]
    assert order == sorted(order)  # type: ignore[type-var]
    assert order[0] > 0.6  # type: ignore[operator]


@pytest.mark.parametrize("dtype", ["int8", "binary"])
def test_it_travels_as_json_and_as_facts(dtype: str) -> None:
    found = calibrate(VECTORS, ROWS, spec(dtype))
    again = Calibrated.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert json.loads(found.to_json())["output_dtype"] == dtype
    np.testing.assert_array_equal(again.quantizer.quantize(VECTORS), found.quantizer.quantize(VECTORS))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 1, "ranges": ""}', b'{"format": 1}'])
def test_what_is_no_calibration_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Calibrated.from_json(data)


def test_small_samples() -> None:
    one = calibrate(VECTORS[:1], ROWS[:1], spec())
    assert (one.num_calibrating, one.num_held_out, one.float_query.recall_at_10) == (1, 0, None)
    nothing = np.zeros((0, 32), np.float32)
    assert calibrate(nothing, ROWS[:0], spec("binary")).num_documents == 0
    with pytest.raises(ShardError, match=r"none of the documents sampled .*num_documents"):
        calibrate(nothing, ROWS[:0], spec())
