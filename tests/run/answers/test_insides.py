from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from pipelines.model.inspection import Insides
from pipelines.run.answers.insides import attention_map, facts, render

TOKENS = ["[CLS]", "a", "extraordinarily"]
STATES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
WEIGHTS = np.array([[1, 0, 0], [0.25, 0.5, 0.25], [0, 0.75, 0.25]], np.float32)


def shown(insides: Insides, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(render(insides, TOKENS, width))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


def test_a_map_is_shaded_by_who_looks_at_whom() -> None:
    assert attention_map("layer 1", WEIGHTS, TOKENS, 80).plain.splitlines() == [
        "layer 1, to 1.00",
        "              0 1 2",
        "  0 [CLS]     ██    ",
        "  1 a         ░░▒▒░░",
        "  2 extraord…   ▓▓░░",
    ]


def test_a_map_too_wide_has_means_of_neighbours() -> None:
    weights = np.zeros((5, 5), np.float32)
    weights[:2, :2] = 1
    weights[4, 2:4] = 0.5
    lines = attention_map("layer 1", weights, list("abcde"), 14 + 6).plain.splitlines()
    assert lines == [
        "layer 1, to 1.00",
        "              0 2 4",
        "  0 to 1      ██    ",
        "  2 to 3            ",
        "  4 to 4        ▒▒  ",
    ]


@pytest.mark.parametrize(
    ("num_tokens", "axis"),
    [(3, "0 1 2"), (12, "0   2   4   6   8   10")],
)
def test_places_over_a_map(num_tokens: int, axis: str) -> None:
    weights = np.full((num_tokens, num_tokens), 1 / num_tokens, np.float32)
    assert attention_map("", weights, ["x"] * num_tokens, 80).plain.splitlines()[1].strip() == axis


def test_maps_stand_side_by_side_where_there_is_room() -> None:
    weights = np.stack([np.stack([WEIGHTS, WEIGHTS])] * 2)  # two layers of two heads
    wide, narrow = (shown(Insides(attentions=weights), width) for width in (80, 40))
    assert any(line.split() == ["layer", "1,", "to", "1.00", "layer", "2,", "to", "1.00"] for line in wide)
    assert any(line.strip() == "layer 1, to 1.00" for line in narrow)
    assert "attentions  [2, 2, 3, 3]" in narrow[1]


def test_states_are_told_layer_by_layer() -> None:
    lines = shown(Insides(hidden_states=STATES), 80)
    assert lines[1] == "hidden_states  [2, 3, 4]  layers (0: embeddings), tokens, numbers"
    assert lines[3].split() == ["0", "5.5000", "3.4521", "0.000", "1.000", "2.000", "4.000", "5.000", "6.000"]
    assert lines[4].split()[:4] == ["1", "17.5000", "3.4521", "12.000"]


def test_a_pooled_vector_is_told_and_drawn() -> None:
    lines = shown(Insides(pooler_output=np.array([-1, 0.75, 0, 1], np.float32)), 80)
    assert lines[1] == "pooler_output  [4]  mean 0.1875, deviation 0.7781"
    assert lines[3:] == ["from -1.000 to 1.000", "▁▇▅█"]
    assert shown(Insides(pooler_output=np.ones(3, np.float32)), 80)[-1] == "▁▁▁"


def test_facts_are_numbers() -> None:
    told = facts(Insides(hidden_states=STATES, pooler_output=np.array([0.5, 2], np.float32)))
    assert told["hidden_states"]["shape"] == [2, 3, 4]
    assert told["hidden_states"]["layers"][1] == {"mean": 17.5, "std": pytest.approx(3.4521, abs=1e-4)}
    assert told["pooler_output"] == {"shape": [2], "values": [0.5, 2.0]}
    assert "attentions" not in told
