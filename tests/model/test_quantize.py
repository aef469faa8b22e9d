"""Codes by hand, against sentence-transformers with the same ranges, and for any vectors within half a bucket."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sentence_transformers.util.quantization import quantize_embeddings

from pipelines.errors import SpecError
from pipelines.model.quantize import Quantizer, ranges_from_text, ranges_of, ranges_to_text

NORMAL = np.random.default_rng(3).normal(0, 0.05, (600, 16)).astype(np.float32)


def int8(*ranges: tuple[float, float]) -> Quantizer:
    return Quantizer("int8", np.array(ranges, np.float32).T)


def test_int8_by_hand() -> None:
    ours = int8((0.0, 255.0), (-510.0, 0.0))  # steps of 1 and of 2
    vectors = np.array([[0.0, -510.0], [0.9, 0.0], [1.0, -255.0], [254.5, -600.0], [300.0, -0.1]], np.float32)
    codes = ours.quantize(vectors)
    assert codes.dtype == np.int8
    assert codes.tolist() == [[-128, -128], [-128, 127], [-127, -1], [126, -128], [127, 126]]
    assert ours.restore(codes)[:, 0].tolist() == [0.5, 0.5, 1.5, 254.5, 255.5]
    assert ours.num_clipped(vectors) == 2


def test_a_dimension_of_one_number_comes_back_as_it_was() -> None:
    ours = int8((0.25, 0.25))
    codes = ours.quantize(np.array([[0.25], [0.0], [9.0]], np.float32))
    assert ours.restore(codes).tolist() == [[0.25]] * 3


def test_binary_by_hand() -> None:
    vectors = np.array([[1, -1, 0.5, 0, 0, -3, 2, 2, -1, 1, -1, 1, -1, 1, -1, 1]], np.float32)
    ours = Quantizer("binary")
    assert ours.quantize(vectors).tolist() == [[0b10100011, 0b01010101]]
    assert ours.restore(ours.quantize(vectors))[0, :4].tolist() == [1, -1, 1, -1]
    assert ours.num_clipped(vectors) == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floats_are_rounded_once(dtype: str) -> None:
    ours = Quantizer(dtype)  # type: ignore[arg-type]
    assert ours.quantize(NORMAL).dtype == dtype
    np.testing.assert_array_equal(ours.restore(ours.quantize(NORMAL)), NORMAL.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("quantile", [1.0, 0.98])
def test_codes_are_those_of_sentence_transformers(quantile: float) -> None:
    ranges = ranges_of(NORMAL[:300], quantile)
    assert (ranges[0] < ranges[1]).all()
    ours = Quantizer("int8", ranges)
    np.testing.assert_array_equal(ours.quantize(NORMAL), quantize_embeddings(NORMAL, "int8", ranges=ranges))
    assert ours.num_clipped(NORMAL) > 0
    binary = Quantizer("binary")
    np.testing.assert_array_equal(binary.quantize(NORMAL), quantize_embeddings(NORMAL, "ubinary"))


def test_ranges_are_extremes_or_quantiles() -> None:
    vectors = np.arange(101, dtype=np.float32)[:, None] * np.array([1, -2], np.float32)
    assert ranges_of(vectors).tolist() == [[0, -200], [100, 0]]
    assert ranges_of(vectors, 0.9).tolist() == [[5, -190], [95, -10]]


def test_extremes_err_less_than_quantiles_where_numbers_are_normal() -> None:
    def error(quantile: float) -> float:
        ours = Quantizer("int8", ranges_of(NORMAL[:512], quantile))
        return float(np.square(ours.restore(ours.quantize(NORMAL)) - NORMAL).mean())

    assert error(1.0) < error(0.99) / 2


numbers = st.floats(-1e3, 1e3, width=32).filter(lambda number: number == 0 or abs(number) > 1e-30)
"""Buckets of less would be no normal float32."""


@given(arrays(np.float32, (7, 3), elements=numbers))
def test_what_is_within_the_ranges_is_restored_to_half_a_bucket(vectors: np.ndarray) -> None:
    ranges = ranges_of(vectors)
    ours = Quantizer("int8", ranges)
    assert ours.num_clipped(vectors) == 0
    half = (ranges[1] - ranges[0]).astype(np.float64) / 255 / 2
    error = np.abs(ours.restore(ours.quantize(vectors)).astype(np.float64) - vectors)
    assert (error <= half * 1.0001 + 1e-6 * np.abs(vectors).max()).all()  # float32 itself errs in the last place


@given(arrays(np.float32, (3, 16), elements=numbers))
def test_signs_survive(vectors: np.ndarray) -> None:
    ours = Quantizer("binary")
    np.testing.assert_array_equal(ours.restore(ours.quantize(vectors)) > 0, vectors > 0)


def test_ranges_travel_as_text() -> None:
    ranges = ranges_of(NORMAL)
    np.testing.assert_array_equal(ranges_from_text(ranges_to_text(ranges)), ranges)
    assert ranges_to_text(np.array([[0], [1]], np.float32)) == "AAAAAAAAgD8="
    assert ranges_from_text("").shape == (2, 0)


def test_int8_without_ranges_is_refused() -> None:
    with pytest.raises(SpecError, match="calibrate on a sample"):
        Quantizer("int8")
