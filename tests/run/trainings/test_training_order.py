from __future__ import annotations

import pytest

from pipelines.errors import SpecError
from pipelines.run.trainings.training_order import TrainingOrder


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"instances": ""}, "no instances are named: give"), ({"output": ""}, "no output is named: give")],
)
def test_what_is_missing_is_refused(fields: dict[str, str], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        TrainingOrder(**{"instances": "here", "output": "there", **fields})
