"""The file of a calibration: the first stays, a lost one comes back from the footers, ruins are named."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import StoreError
from pipelines.model.calibration import Calibrated, calibrate
from pipelines.run.calibration import KEY, find_calibration, footer_of, settle
from pipelines.schema import SliceHeader
from pipelines.spec import Calibration, EmbedSpec
from pipelines.store.location import Location, locate
from pipelines.store.parts import publish

HEADER = SliceHeader(shard="a", shard_id="0123456789abcdef", first_row=0, num_documents=1)


def made(dtype: str = "int8", seed: int = 0) -> Calibrated:
    vectors = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    spec = EmbedSpec(model="m", dim=8, output_dtype=dtype, calibration=Calibration(seed=seed))  # type: ignore[arg-type]
    return calibrate(vectors, np.arange(40), spec)


@pytest.fixture
def output(tmp_path: Path) -> Location:
    return locate(str(tmp_path / "vectors"))


def test_the_first_calibration_stays(output: Location) -> None:
    assert find_calibration(output) is None
    first = settle(output, made())
    assert settle(output, made(seed=1)).to_json() == first.to_json() == output.read(KEY)
    found = find_calibration(output)
    assert found is not None
    assert found.to_json() == first.to_json()


@pytest.mark.parametrize("dtype", ["int8", "binary"])
def test_a_lost_calibration_comes_back_from_a_part(output: Location, dtype: str) -> None:
    publish(output, HEADER, pa.table({"id": [1]}), footer_of(made(dtype)))
    found = find_calibration(output)
    assert found is not None
    assert found.to_json() == made(dtype).to_json() == output.read(KEY)


def test_footers_hold_the_ranges_as_anybody_can_read_them() -> None:
    told = footer_of(made())
    ranges = np.frombuffer(base64.b64decode(told["manta.ranges"]), np.float32).reshape(2, 8)
    np.testing.assert_array_equal(ranges, made().quantizer.ranges)
    assert json.loads(told["manta.calibration"])["num_documents"] == 40
    assert "manta.ranges" not in footer_of(made("binary"))


def test_ruins_are_named(output: Location) -> None:
    output.put(KEY, b"{")
    with pytest.raises(StoreError, match=r"calibration\.json cannot be read .*restored from the parts"):
        find_calibration(output)


def test_parts_that_say_nothing_of_it_are_refused(output: Location) -> None:
    publish(output, HEADER, pa.table({"id": [1]}), {})
    with pytest.raises(StoreError, match="no part that can be read"):
        find_calibration(output)
