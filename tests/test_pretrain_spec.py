from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.pretrain_spec import PretrainSpec

SPEC = PretrainSpec(architecture="bert-tiny", max_steps=10)


@pytest.mark.parametrize(
    "field",
    [
        {"architecture": ""}, {"global_batch": 0}, {"num_streams": 0}, {"warmup": 1.5}, {"learning_rate": 0.0},
        {"betas": (0.9, 1.0)}, {"mask_probability": 0.0},
        {"sentence_weight": -1.0}, {"dropout": 1.0}, {"max_grad_norm": -1.0}, {"max_steps": -1},
    ],
)  # fmt: skip
def test_a_field_is_refused_by_its_name_and_value(field: dict[str, Any]) -> None:
    ((name, value),) = field.items()
    with pytest.raises(SpecError, match=rf"PretrainSpec.{name} is {str(value).replace('(', '.').replace(')', '.')}"):
        replace(SPEC, **field) if name != "architecture" else PretrainSpec(architecture="", max_steps=1)


def test_what_decides_nothing_is_idle() -> None:
    assert SPEC.idle == {"architecture", "decay", "model_class"}
    assert replace(SPEC, schedule="wsd", model_class="mine.Bert").idle == {"architecture"}
