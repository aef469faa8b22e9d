from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.similarity import evaluate_pairs
from pipelines.run.order import Order
from pipelines.run.report import Report
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": "body"}, r"x.parquet of --data has no column 'body' .*: name another by --spec.text$"),
        ({"text_pair": "another"}, r"has no column 'another' .*: name another by --spec.text_pair$"),
        ({"label": "people"}, r"has no column 'people' .*: name another by --spec.label$"),
        ({"label": "id"}, r"column 'id' is (large_)?string, and the score of a pair is a number"),
    ],
)
def test_columns_that_are_not_there_are_told_before_anything_is_embedded(
    tiny_model: Path, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    write_shard(tmp_path / "data/x.parquet", 2, id=["a", "b"], other=["the king", "a ship"], score=[1.0, 2.0])
    (tmp_path / "data/broken.parquet").write_bytes(b"no Parquet")
    order = EvaluationOrder(model="m", output=str(tmp_path / "out"), data=str(tmp_path / "data"))
    spec = EvaluationSpec(**{"text_pair": "other"} | fields)
    with pytest.raises(SpecError, match=message):
        evaluate_pairs(order, spec, EmbedSpec(model=str(tiny_model)), lambda *_: pytest.fail("nothing is to start"))


def test_scores_must_be_numbers(tiny_model: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "data/x.parquet", 3, other=["the king", "a ship", "wind"], score=["a", "b", "c"])
    order = EvaluationOrder(model="m", output=str(tmp_path / "out"), data=str(tmp_path / "data"))
    with pytest.raises(SpecError, match=r"column 'score' is (large_)?string, and the score of a pair is a number"):
        evaluate_pairs(order, EvaluationSpec(text_pair="other"), EmbedSpec(model=str(tiny_model)), embed)
