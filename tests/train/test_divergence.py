from __future__ import annotations

import pytest

from pipelines.errors import DivergenceError
from pipelines.train.divergence import refuse_divergence
from pipelines.train.ranks import Ranks
from pipelines.train.step import NotFinite
from tests.train.small import SmallSource

SOURCE = SmallSource(micro=10, poison=True)


def test_nothing_went_wrong() -> None:
    refuse_divergence(None, 0, 30, SOURCE, Ranks())


def test_instances_of_the_micro_batch_are_named_up_to_some() -> None:
    with pytest.raises(DivergenceError) as refusal:
        refuse_divergence(NotFinite(2, 1), 0, 30, SOURCE, Ranks())
    names = ", ".join(f"document-{n}" for n in range(70, 78))
    assert str(refusal.value) == (
        f"the loss of step 2 is not finite, in a batch of {names} and 2 more: lower learning_rate, or look at these "
        "instances; the checkpoints before are whole"
    )


def test_a_gradient_alone_names_its_step() -> None:
    with pytest.raises(DivergenceError, match="the gradient of step 2 is not finite, while its loss is: lower"):
        refuse_divergence(NotFinite(2, None), 0, 30, SOURCE, Ranks())
