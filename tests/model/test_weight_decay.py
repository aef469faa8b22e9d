from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertForPreTraining

from pipelines.model.weight_decay import parameter_groups


def test_biases_and_norms_do_not_decay(make_folder: Callable[..., Path]) -> None:
    module = BertForPreTraining.from_pretrained(make_folder("Bert", kind="ForPreTraining"))
    names = {id(weight): name for name, weight in module.named_parameters()}
    decaying, others = parameter_groups(module, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    kept = {names[id(weight)] for weight in others["params"]}
    assert all("LayerNorm" in name or name.endswith("bias") for name in kept)
    lost = {names[id(weight)] for weight in decaying["params"]}
    assert not any("LayerNorm" in name or name.endswith("bias") for name in lost)
    assert {"bert.embeddings.word_embeddings.weight", "cls.seq_relationship.weight", "bert.pooler.dense.weight"} < lost
    assert kept | lost == set(names.values())


def test_a_weight_at_two_places_counts_once_and_a_frozen_one_never() -> None:
    first, second, frozen = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), torch.nn.Linear(2, 2).requires_grad_(False)
    second.weight = first.weight
    decaying, others = parameter_groups(torch.nn.Sequential(first, second, frozen), 0.1)
    assert [id(weight) for weight in decaying["params"]] == [id(first.weight)]
    assert len(others["params"]) == 2
