from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.model.objectives import TRAINED, pick_objective


@pytest.mark.parametrize(
    ("made_for", "family", "picked"),
    [
        ("mlm+nsp", "bert", "mlm+nsp"),
        ("mlm+sop", "bert", "mlm+sop"),
        ("mlm", "bert", "mlm"),
        ("mlm+sop", "albert", "mlm+sop"),
        ("mlm+nsp", "albert", "mlm"),
        ("mlm+nsp", "roberta", "mlm"),
        ("mlm", "modernbert", "mlm"),
        ("mlm", "gpt2", "causal"),
        ("mlm", "t5", "span"),
    ],
)
def test_by_itself_it_is_what_the_instances_are_for(made_for: str, family: str, picked: str) -> None:
    assert pick_objective("auto", made_for, family) == picked


@pytest.mark.parametrize(
    ("wish", "made_for", "family"),
    [("mlm", "mlm+nsp", "bert"), ("mlm", "mlm+sop", "albert"), ("causal", "mlm", "gpt2"), ("span", "mlm", "mt5")],
)
def test_what_is_asked_for(wish: Any, made_for: str, family: str) -> None:
    assert pick_objective(wish, made_for, family) == wish


@pytest.mark.parametrize(
    ("wish", "made_for", "family", "told"),
    [
        ("mlm+nsp", "mlm+nsp", "roberta", r"roberta network can't have .* mlm\+nsp, it has no head for pairs of segme"
         r"nts: write mlm, or choose another family \(bert\)"),
        ("mlm+nsp", "mlm+nsp", "albert", r"it tells the order of segments: write mlm\+sop or mlm"),
        ("causal", "mlm", "bert", r"a bert network can't have the objective causal: write .* another family \(gpt2\)"),
        ("mlm", "mlm", "t5", "a t5 network can't have the objective mlm: write span"),
        ("auto", "mlm", "xlnet", "networks of the family 'xlnet' are not trained here: choose among bert, roberta"),
        ("mlm+sop", "mlm+nsp", "bert", r"made for mlm\+nsp, whose pairs are not for mlm\+sop: prepare them with objec"
         r"tive mlm\+sop, or train by mlm\+nsp or mlm$"),
        ("mlm+nsp", "mlm", "bert", r"made for mlm, without the pairs that mlm\+nsp needs: .*, or train by mlm$"),
        ("auto", "mlm+nsp", "gpt2", r"whose pairs are not for causal: prepare them with objective mlm$"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(wish: Any, made_for: str, family: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        pick_objective(wish, made_for, family)


def test_families_of_the_design_are_trained() -> None:
    assert {"bert", "roberta", "albert", "distilbert", "modernbert", "gpt2", "t5"} < TRAINED.keys()
