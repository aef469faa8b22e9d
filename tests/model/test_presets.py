import pytest
import torch

from pipelines.model.presets import SIZES, preset_config
from pipelines.pretrain_spec import PRESETS


def test_every_preset_of_the_spec_is_there() -> None:
    assert tuple(SIZES) == PRESETS


@pytest.mark.parametrize(
    ("name", "millions"),
    [("bert-tiny", 4.4), ("bert-mini", 11.3), ("bert-small", 29.1), ("bert-medium", 41.7), ("bert-base", 110.1)],
)
def test_sizes_are_those_of_the_paper(name: str, millions: float) -> None:
    """Parameters in millions as in table 1 of the paper, which has a vocabulary of 30,522; 110.1 is its base."""
    from transformers import AutoConfig, BertModel

    with torch.device("meta"):
        network = BertModel(AutoConfig.for_model(**preset_config(name, 30522, 0)))
    found = sum(weight.numel() for weight in network.parameters()) / 1e6
    assert found == pytest.approx(millions, abs=0.75 if name == "bert-base" else 0.45)
    assert network.config.hidden_size // network.config.num_attention_heads == 64


def test_the_vocabulary_is_the_tokenizers() -> None:
    config = preset_config("bert-mini", 1000, 3)
    assert (config["vocab_size"], config["pad_token_id"], config["max_position_embeddings"]) == (1000, 3, 512)
    with pytest.raises(KeyError):
        preset_config("bert-huge", 1000, 3)
