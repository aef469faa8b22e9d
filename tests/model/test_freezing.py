from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModel

from pipelines.errors import SpecError
from pipelines.model.freezing import freeze


def frozen(make_folder: Callable[..., Path], family: str, count: int) -> set[str]:
    """First parts of the names of weights that learn nothing."""
    network: Any = AutoModel.from_pretrained(make_folder(family))
    freeze(network, count)
    return {name for name, weight in network.named_parameters() if not weight.requires_grad}


def starts(names: set[str], *beginnings: str) -> bool:
    """Whether each name begins with one of these, and each of these begins one."""
    return all(name.startswith(beginnings) for name in names) and all(
        any(name.startswith(one) for name in names) for one in beginnings
    )


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("Bert", ("embeddings.", "encoder.layer.0.", "encoder.layer.1.")),
        ("DistilBert", ("embeddings.", "transformer.layer.0.", "transformer.layer.1.")),
        ("ModernBert", ("embeddings.", "layers.0.", "layers.1.")),
        ("MPNet", ("embeddings.", "encoder.relative_attention_bias.", "encoder.layer.0.", "encoder.layer.1.")),
        ("DebertaV2", ("embeddings.", "encoder.rel_embeddings.", "encoder.layer.0.", "encoder.layer.1.")),
        ("Electra", ("embeddings.", "embeddings_project.", "encoder.layer.0.", "encoder.layer.1.")),
        ("GPT2", ("wte.", "wpe.", "h.0.", "h.1.")),
        ("Llama", ("embed_tokens.", "layers.0.", "layers.1.")),
    ],
)
def test_the_lowest_layers_and_what_is_below_them(
    make_folder: Callable[..., Path], family: str, expected: tuple[str, ...]
) -> None:
    assert starts(frozen(make_folder, family, 2), *expected)


def test_nothing_is_frozen_unasked(make_folder: Callable[..., Path]) -> None:
    assert frozen(make_folder, "Bert", 0) == set()


def test_what_can_not_be_frozen(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="frozen_layers is 4, BertModel has 3 layers: write that at most"):
        frozen(make_folder, "Bert", 4)
    with pytest.raises(SpecError, match="layers of AlbertModel can't be frozen one by one"):
        frozen(make_folder, "Albert", 1)
