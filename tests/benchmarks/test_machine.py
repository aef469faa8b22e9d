from __future__ import annotations

import re

from benchmarks import machine


def test_slug_is_fit_for_a_file_name() -> None:
    assert machine.slug("NVIDIA H200, 16 cores Xeon(R) amx_bf16") == "nvidia-h200-16-cores-xeon-r-amx-bf16"


def test_hardware_and_versions_say_what_counts() -> None:
    assert re.match(r"(.*, )?\d+ cores ", machine.hardware())
    assert re.match(r"commit \S+, Python 3\.\d+\.\d+, ray 2\.\S+, torch ", machine.versions())


def test_table_is_markdown() -> None:
    assert machine.table(["", "MB"], [["driver", "1,200"], ["x", "7"]]).splitlines() == [
        "|        |    MB |",
        "| ------ | ----: |",
        "| driver | 1,200 |",
        "| x      |     7 |",
    ]
