from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluation_order import EvaluationOrder
from pipelines.run.order import Order
from pipelines.run.report import Report
from pipelines.run.similarity import evaluate_pairs
from pipelines.spec import EmbedSpec
from tests.tiny import embed_in_turn, write_shard


def embed(order: Order, spec: EmbedSpec) -> Report:
    return embed_in_turn(spec, Path(str(order.documents)), Path(order.output))


def test_cosines_are_those_of_the_vectors(tiny_model: Path, tmp_path: Path) -> None:
    other = ["the king", "a ship", "of the night", "union"]
    write_shard(tmp_path / "data/x.parquet", 4, other=other, score=[1, 2, 3, 4])
    order = EvaluationOrder(model=str(tiny_model), output=str(tmp_path / "out"), data=str(tmp_path / "data"))
    side = EmbedSpec(model=str(tiny_model))
    found = evaluate_pairs(order, EvaluationSpec(text_pair="other"), side, embed)
    assert found.counts == {"pairs": 4}
    assert list(found.metrics) == ["spearman", "pearson"]
    assert not found.notes
    same = evaluate_pairs(
        EvaluationOrder(model="m", output=str(tmp_path / "same"), data=str(tmp_path / "data")),
        EvaluationSpec(text_pair=["text", "other"], text="other", separator=" "), side, embed,
    )  # fmt: skip
    assert same.counts == {"pairs": 4}


def test_scores_that_are_all_the_same_tell_nothing(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "data/x.parquet", 3, other=["the king", "a ship", "wind"], score=[1.0, 1.0, 1.0])
    order = EvaluationOrder(model="m", output=str(tmp_path / "out"), data=str(tmp_path / "data"))
    found = evaluate_pairs(order, EvaluationSpec(text_pair="other"), EmbedSpec(model=str(tiny_model)), embed)
    assert found.metrics == {}
    assert found.notes == ("no correlation: all scores, or all cosines, are the same",)
    assert found.pictures["scores.png"]


def test_scores_must_be_numbers(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "data/x.parquet", 3, other=["the king", "a ship", "wind"], score=["a", "b", "c"])
    order = EvaluationOrder(model="m", output=str(tmp_path / "out"), data=str(tmp_path / "data"))
    with pytest.raises(SpecError, match=r"column 'score' is (large_)?string: the score of a pair must be a number"):
        evaluate_pairs(order, EvaluationSpec(text_pair="other"), EmbedSpec(model=str(tiny_model)), embed)
