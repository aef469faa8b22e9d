from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.store.user_code import read_user_code
from pipelines.train.network import facts_of, make_network
from tests.train.given import course

POOL = TrainPool()
OWN = """
from torch import nn
from transformers import BertForPreTraining

class MyBert(BertForPreTraining):
    pass


class Idle(BertForPreTraining):
    def __init__(self, config):
        super().__init__(config)
        self.spare = nn.Linear(3, 2)
"""


def test_every_worker_makes_the_same_network(prepared: Path, config: Path, tmp_path: Path) -> None:
    given = course(prepared, tmp_path / "model", config)
    one, other = make_network(given, POOL), make_network(given, POOL)
    assert one.remarks == ()
    weights = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(mine, its) for mine, its in weights)
    facts = facts_of(one.model)
    assert (facts["device"], facts["chip"], facts["path"]) == ("cpu", "", "packed")
    assert facts["parameters"] == sum(weight.numel() for weight in one.model.parameters())


def test_a_checkpoint_that_lacks_heads_gets_new_ones_and_it_is_said(
    prepared: Path, tiny_model: Path, tmp_path: Path
) -> None:
    made = make_network(course(prepared, tmp_path / "model", tiny_model), POOL)
    (remark,) = made.remarks
    assert remark.startswith(f"{tiny_model} lacks the ")
    assert "next-sentence head" in remark
    assert remark.endswith(": made anew")


def test_dropout_is_as_the_spec_has_it(prepared: Path, config: Path, tmp_path: Path) -> None:
    made = make_network(course(prepared, tmp_path / "model", config, dropout=0.25), POOL)
    assert made.model.config.hidden_dropout_prob == 0.25


def test_activations_are_made_anew_on_request(prepared: Path, config: Path, tmp_path: Path) -> None:
    pool = TrainPool(activation_checkpointing=True)
    made = make_network(course(prepared, tmp_path / "model", config), pool)
    assert made.model.module.is_gradient_checkpointing


def test_a_class_of_the_users_own_makes_the_network(prepared: Path, config: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my_pretrained.py").write_text(OWN)
    given = course(prepared, tmp_path / "model", config)
    spec = replace(given.spec, model_class="my_pretrained.MyBert")
    code = read_user_code(str(tmp_path / "code"))
    made = make_network(replace(given, spec=spec, code=code), POOL)
    assert type(made.model.module).__name__ == "MyBert"
    with pytest.raises(SpecError, match=r"Idle has 2 weights that no loss depends on, such as spare\.weight"):
        make_network(replace(given, spec=replace(spec, model_class="my_pretrained.Idle"), code=code), POOL)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_missing_is_told(prepared: Path, config: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="sees no GPU"):
        make_network(course(prepared, tmp_path / "model", config), TrainPool(device="cuda"))
