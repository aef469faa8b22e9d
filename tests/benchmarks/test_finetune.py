from __future__ import annotations

from benchmarks.bag_of_words import accuracy
from benchmarks.finetune import Ran, by_round, compare, split


def test_ratios_are_paired_by_round_and_accuracies_have_a_spread() -> None:
    played = [
        {"trainer": Ran(1.0, 9, 0.70), "manta": Ran(2.0, 9, 0.74)},  # 2 times
        {"trainer": Ran(2.0, 9, 0.74), "manta": Ran(3.0, 9, 0.70)},  # 1.5 times
        {"trainer": Ran(4.0, 9, 0.72), "manta": Ran(4.0, 9, 0.72)},  # as fast
    ]
    *_, trainer, manta = (line.split("|")[1:-1] for line in compare(played).splitlines())
    assert [cell.strip() for cell in trainer] == ["transformers' Trainer", "2.00", "1.00", "0.720 ± 0.020"]
    assert [cell.strip() for cell in manta] == ["Manta", "3.00", "1.50", "0.720 ± 0.020"]
    assert [cell.strip() for cell in by_round(played).splitlines()[-1].split("|")[2:-1]] == ["2.00", "3.00", "4.00"]


def test_no_film_is_on_both_sides() -> None:
    train, held_out = split()
    assert not set(train["film"].to_pylist()) & set(held_out["film"].to_pylist())
    assert 0.15 < held_out.num_rows / (train.num_rows + held_out.num_rows) < 0.25


def test_a_bag_of_words_beats_the_commonest_label() -> None:
    train, held_out = split()
    labels = held_out["label"].to_pylist()
    assert accuracy(train, held_out) > labels.count("fresh") / len(labels) + 0.1
