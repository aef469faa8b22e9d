from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from pipelines.errors import SpecError
from pipelines.run.answers.view import View, render

TOKENS = ["[CLS]", "the", "[MASK]", "of", "bread", "[SEP]"]
FILLING = {
    "position": 2, "tokens": ["king", "[unused1]"], "ids": [71, 9], "log_probs": [math.log(0.75), math.log(0.125)]
}  # fmt: skip


def shown(answer: dict[str, Any], width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(render(answer, width))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    return lines


def test_tokens_stand_under_their_places() -> None:
    assert shown({"tokens": TOKENS}) == [
        "  0     1     2     3     4      5",
        "[CLS]  the  [MASK]  of  bread  [SEP]",
    ]
    assert [line.split() for line in shown({"tokens": TOKENS}, 24)] == [
        ["0", "1", "2", "3"], TOKENS[:4], ["4", "5"], TOKENS[4:]
    ]  # fmt: skip


def test_a_token_wider_than_the_terminal_has_a_line_of_its_own() -> None:
    lines = shown({"tokens": ["a", "b" * 30, "c"]}, 20)
    assert (lines[0].split(), lines[1].split()) == (["0"], ["a"])
    assert "".join(lines).count("b") >= 19
    assert lines[-1].split() == ["c"]


def test_fillings_have_bars_as_long_as_they_are_likely() -> None:
    lines = shown({"tokens": TOKENS, "fill_mask": [FILLING], "filled": "the king of bread"}, 60)
    assert lines[3] == "mask at 2  [CLS] the [MASK] of bread [SEP]"
    assert lines[4].split() == ["token", "probability", "log-prob", "id"]
    assert lines[5].split() == ["king", "75.0%", "███████▌", "-0.29", "71"]
    assert lines[6].split() == ["[unused1]", "12.5%", "█▎", "-2.08", "9"]
    assert lines[-1] == "filled  the king of bread"
    assert shown({"tokens": ["a"], "fill_mask": [], "filled": None})[-1] == "no mask in this text"


def test_scores_stand_under_their_tokens() -> None:
    scores = {"log_prob": -2.7726, "num_scored": 2, "perplexity": 4.0, "reason": None}
    answer = {"tokens": ["[CLS]", "a", "b", "[SEP]"], "pseudo_perplexity": scores}
    lines = shown(answer | {"token_log_probs": [None, math.log(0.5), math.log(0.125), None]})
    assert lines[2].split() == ["▄", "-0.69", "▁", "-2.08"]
    assert lines[-1] == "pseudo-perplexity 4, log-probability -2.7726 over 2 tokens"


def test_why_there_is_no_perplexity_is_said() -> None:
    scores = {"log_prob": None, "num_scored": 1, "perplexity": None, "reason": "fewer than two tokens to score"}
    lines = shown({"tokens": ["a"], "pseudo_perplexity": scores})
    assert lines[-1] == "no pseudo-perplexity: fewer than two tokens to score"


def test_outputs_of_other_names_are_shown_as_they_are() -> None:
    assert shown({"tokens": ["a"], "embedding": [1.0, 2.0]})[-1] == "embedding  1.000 2.000"


@pytest.mark.parametrize("names", [["logits"], ["attentions", "attentions"]])
def test_a_network_has_nothing_else_inside(names: list[str]) -> None:
    with pytest.raises(SpecError, match=r"View\.inspect is .*: write some of hidden_states, pooler_output, attentions"):
        View(inspect=names)
