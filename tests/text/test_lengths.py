from __future__ import annotations

import numpy as np

from pipelines.text.lengths import LengthBin, length_bins


def test_bins_by_hand() -> None:
    """Of 10, 20, 30 and 100 tokens (160) a cut at 24 leaves out 6 and 76; none is as short as 8."""
    found = length_bins(np.array([30, 10, 100, 20]), limit=24)
    assert found == [
        LengthBin(first=1, last=16, num_documents=1, longer=0.75, beyond=(4 + 14 + 84) / 160),
        LengthBin(first=17, last=24, num_documents=1, longer=0.5, beyond=(6 + 76) / 160),
        LengthBin(first=25, last=32, num_documents=1, longer=0.25, beyond=68 / 160),
        LengthBin(first=33, last=64, num_documents=0, longer=0.25, beyond=36 / 160),
        LengthBin(first=65, last=128, num_documents=1, longer=0.0, beyond=0.0),
    ]


def test_bins_reach_from_the_shortest_to_the_longest() -> None:
    assert [(one.first, one.last) for one in length_bins(np.array([40, 64]), limit=512)] == [(33, 64)]
    assert [(one.first, one.last) for one in length_bins(np.array([3]), limit=8)] == [(1, 8)]
    assert length_bins(np.zeros(0, np.int64), limit=8) == []
