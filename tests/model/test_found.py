from __future__ import annotations

import numpy as np
import pytest

from pipelines.model.found import Perplexities


def test_perplexities_by_hand() -> None:
    found = Perplexities(np.array([-2.0, -9.0, -1.0, 0.0]), np.array([2, 3, 1, 0], np.int32), np.zeros(0, np.float32))
    assert found.perplexity[:2] == pytest.approx([np.e, np.e**3])
    assert np.isnan(found.perplexity[2:]).all()  # a single token has no context
