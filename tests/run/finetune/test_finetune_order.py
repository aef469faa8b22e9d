from __future__ import annotations

import pytest

from pipelines.errors import SpecError
from pipelines.run.finetune.finetune_order import FinetuneOrder


def test_examples_are_in_the_output_or_elsewhere() -> None:
    order = FinetuneOrder(train_data="train/", output="s3://models/one/", limit=7)
    assert (order.train.output, order.train.limit, order.evaluation) == ("s3://models/one/examples/train", 7, None)
    shared = FinetuneOrder(train_data=["a", "b"], eval_data="dev", output="{fingerprint}", examples="/x", limit=7)
    assert shared.evaluation is not None
    assert (shared.train.output, shared.evaluation.output, shared.evaluation.limit) == ("/x/train", "/x/eval", 0)
    assert shared.train.documents == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_data": ""}, "no data are named: give --train_data"),
        ({"output": ""}, "no output is named: give --output"),
        ({"output": "x/{fingerprint}"}, "which the examples decide .* name a folder for them with --examples"),
    ],
)
def test_what_is_not_named(fields: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        FinetuneOrder(**{"train_data": "a", "output": "b", **fields})  # type: ignore[arg-type]
