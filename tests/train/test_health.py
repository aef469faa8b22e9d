from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from pipelines.train.health import WINDOW, HealthWatch, Row


def rows(*, num: int = 3 * WINDOW, **values: object) -> list[Row]:
    """Rows of steps 10, 20 ...; each value is a number, or a function of the share of the training that is over."""
    shares = [n / (num - 1) for n in range(num)]
    made = {name: [value(s) if callable(value) else value for s in shares] for name, value in values.items()}
    return [{"step": 10 * step, **{name: made[name][n] for name in made}} for n, step in zip(range(num), count(1))]


def watch(seen: Iterator[Row], unigram_entropy: float = 0.0) -> list[str]:
    """Everything that is wrong with a training that is over."""
    found = HealthWatch(unigram_entropy)
    return [text for row in seen for text in found.look(row)]


def falling(share: float) -> float:
    return 10 - 6 * share


def test_a_sound_training_is_left_alone() -> None:
    sound = rows(loss_mlm=falling, accuracy_nsp=lambda s: 0.5 + 0.4 * s, data_wait=0.01)
    assert list(watch(iter(sound), unigram_entropy=6.9)) == []


def test_the_plateau_is_told_once_with_its_line() -> None:
    (told,) = watch(iter(rows(loss_mlm=6.95, accuracy_nsp=0.9)), unigram_entropy=6.9)
    assert told.startswith(
        f"step {10 * WINDOW}: the MLM loss stays at 6.95, near the unigram entropy of the corpus (6.90)"
    )


def test_a_causal_model_has_the_same_plateau() -> None:
    (told,) = watch(iter(rows(loss_clm=6.9)), unigram_entropy=6.9)
    assert "the CLM loss stays at 6.90" in told


def test_a_loss_on_its_way_through_the_entropy_is_no_plateau() -> None:
    assert list(watch(iter(rows(loss_mlm=lambda s: 8 - 3 * s)), unigram_entropy=6.9)) == []
    assert list(watch(iter(rows(loss_mlm=6.95)))) == []  # where the entropy is not known


@pytest.mark.parametrize("name", ["nsp", "sop"])
def test_pairs_at_chance_while_masks_are_learnt_are_told(name: str) -> None:
    (told,) = watch(iter(rows(loss_mlm=falling, **{f"accuracy_{name}": 0.51})))
    assert f"{name.upper()} is still at chance (51% right)" in told
    assert "share of random pairs" in told


def test_pairs_at_chance_before_masks_are_learnt_are_not_told() -> None:
    assert list(watch(iter(rows(loss_mlm=9.5, accuracy_nsp=0.5)))) == []


def test_waiting_for_data_is_told_above_one_part_in_twenty() -> None:
    assert list(watch(iter(rows(loss_mlm=falling, data_wait=0.05)))) == []
    (told,) = watch(iter(rows(loss_mlm=falling, data_wait=0.3)))
    assert "30% of the time is spent waiting for data" in told
    assert "--train.num_cpus" in told


def test_a_loss_that_goes_up_again_is_told() -> None:
    (told,) = watch(iter(rows(loss=lambda s: 4 if s < 0.5 else 9)))
    assert "the training diverges" in told


def test_a_window_must_be_full() -> None:
    found = HealthWatch(6.9)
    assert [found.look(row) for row in rows(num=WINDOW - 1, loss_mlm=6.9, data_wait=0.9)] == [[]] * (WINDOW - 1)
    assert len(found.look({"step": 200, "loss_mlm": 6.9, "data_wait": 0.9})) == 2


def test_a_watch_makes_the_checks_that_it_is_told() -> None:
    seen = rows(loss_mlm=6.5, data_wait=0.2, loss=6.5)
    found = HealthWatch(6.5, checks=("data_wait",))
    (text,) = [text for row in seen for text in found.look(row)]
    assert "waiting for data" in text
    assert found.look({"step": 1, "loss_mlm": 6.5}, held_out=True) == []
