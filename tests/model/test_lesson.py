from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.model.lesson import Lesson, balanced


def spec(task: Any, **fields: Any) -> FinetuneSpec:
    paired = {"text_pair": "other"} if task in ("question_answering", "embedding") else {}
    return FinetuneSpec(model="mine", task=task, **{**paired, **fields})


def test_classes_count_by_how_rare_they_are() -> None:
    """Of 8 examples 4, 2 and 2: over all of them 4 * 2/3 + 4 * 4/3 is 8."""
    assert balanced([4, 2, 2], ["a", "b", "c"]) == pytest.approx((2 / 3, 4 / 3, 4 / 3))
    with pytest.raises(SpecError, match="class 'b' has no example to train on"):
        balanced([4, 0], ["a", "b"])


@pytest.mark.parametrize(
    ("task", "count"),
    [("classification", 2), ("multi_label", 2), ("token_classification", 2), ("regression", 1),
     ("question_answering", 2), ("embedding", 0)],
)  # fmt: skip
def test_a_task_has_so_many_logits(task: str, count: int) -> None:
    assert Lesson.of(spec(task), ["a", "b"]).num_logits == count


def test_what_a_spec_says() -> None:
    told = Lesson.of(spec("classification", class_weights="balanced", label_smoothing=0.1), ["a", "b"], [1, 3])
    assert told == Lesson(task="classification", num_logits=2, class_weights=(2.0, 2 / 3), label_smoothing=0.1)
    assert Lesson.of(spec("embedding", temperature=0.2), []).temperature == 0.2
    assert Lesson.of(spec("embedding"), []).is_contrastive
    assert not Lesson.of(spec("embedding", label="score"), []).is_contrastive
