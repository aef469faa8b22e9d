from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import SpecError
from pipelines.model.folder import read_folder
from pipelines.model.hugging_face import can_pack, load_hugging_face, load_module, set_attention, takes_keyword
from pipelines.model.network import first_position
from pipelines.model.registry import PACKED, PADDED

CPU = torch.device("cpu")


def load(path: Path) -> torch.nn.Module:
    return load_module(read_folder(path), dtype=torch.float32, device=CPU)


@pytest.mark.parametrize(
    ("family", "packs", "position"),
    [("Bert", True, 0), ("Roberta", True, 1), ("ModernBert", True, 0), ("MPNet", False, 1)],
)
def test_which_networks_can_pack(make_folder: Callable[..., Path], family: str, packs: bool, position: int) -> None:
    path = make_folder(family)
    network = load(path)
    assert (can_pack(network) and set_attention(network, PACKED)) == packs
    assert first_position(read_folder(path)) == position


def test_the_attention_that_is_asked_for_runs(make_folder: Callable[..., Path]) -> None:
    network = load(make_folder())
    for attention in ("eager", "sdpa", PADDED):
        assert set_attention(network, attention)
        assert network.config._attn_implementation == attention
    assert not set_attention(load(make_folder("T5")), PADDED)


def test_of_a_model_with_a_decoder_the_encoder_is_loaded(make_folder: Callable[..., Path]) -> None:
    assert type(load(make_folder("T5"))).__name__ == "T5EncoderModel"


def test_weights_that_are_missing_are_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    weights = load_file(path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match="lacks 1 weights"):
        load(path)
    (path / "model.safetensors").unlink()
    with pytest.raises(SpecError, match="does not load"):
        load(path)


def test_pickled_weights_and_a_config_without_model_type(make_folder: Callable[..., Path]) -> None:
    path = make_folder()
    expected = load(path).state_dict()
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()
    config = (
        (path / "config.json").read_text().replace('"model_type": "bert"', '"architectures": ["BertForPreTraining"]')
    )
    (path / "config.json").write_text(config)
    found = load(path).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_pickles_that_run_code_are_refused(make_folder: Callable[..., Path]) -> None:
    import pickle

    path = make_folder()
    (path / "model.safetensors").unlink()
    (path / "pytorch_model.bin").write_bytes(pickle.dumps(print, protocol=2))
    with pytest.raises(SpecError, match="does not load"):
        load(path)


@pytest.mark.parametrize(("family", "path"), [("ModernBert", "packed"), ("MPNet", "padded"), ("T5", "padded")])
def test_packed_where_it_can_else_padded(make_folder: Callable[..., Path], family: str, path: str) -> None:
    folder = read_folder(make_folder(family))
    network = load_hugging_face(folder, dtype=torch.float32, device=CPU, packed=True)
    assert network.path == path
    assert (network.pad_id, network.vocab_size) == (folder.pad_token_id, folder.config["vocab_size"])
    if path == "packed":
        with pytest.raises(ValueError, match="without cu_seqlens"):
            network.module(input_ids=torch.ones(1, 4, dtype=torch.long))


def test_compiled_modules_keep_their_linear_layers(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("ModernBert"))
    module = load_hugging_face(folder, dtype=torch.float32, device=CPU, compile=True).module
    assert {type(child) for child in module.modules()} >= {torch.nn.Linear}
    assert module._compiled_call_impl is not None


def test_the_work_of_a_network(make_folder: Callable[..., Path]) -> None:
    work = load_hugging_face(read_folder(make_folder()), dtype=torch.float32, device=CPU).work
    layer = 4 * (32 * 32 + 32) + (32 * 48 + 48) + (48 * 32 + 32) + 4 * 32
    assert work.num_weights == 3 * layer + 2 * 32 + (32 * 32 + 32)  # and the norm of the embeddings, and the pooler
    assert work.attention_width == 3 * 32


def test_layers_that_share_weights_all_work(make_folder: Callable[..., Path]) -> None:
    work = load_hugging_face(read_folder(make_folder("Albert")), dtype=torch.float32, device=CPU).work
    layer = 4 * (32 * 32 + 32) + (32 * 48 + 48) + (48 * 32 + 32) + 4 * 32
    assert work.num_weights == 3 * layer + 2 * 16 + (16 * 32 + 32) + (32 * 32 + 32)  # norm, projection, pooler


def test_a_keyword_that_is_handed_on_is_known() -> None:
    class Base(torch.nn.Module):
        def forward(self, ids: int, kinds: int = 0) -> int:
            return kinds

    class HandsOn(Base):
        def forward(self, *args: int, **kwargs: int) -> int:
            return super().forward(*args, **kwargs)

    class KeepsBack(Base):
        def forward(self, ids: int) -> int:  # type: ignore[override]
            return super().forward(ids)

    assert [takes_keyword(kind(), "kinds") for kind in (Base, HandsOn, KeepsBack)] == [True, True, False]
    assert not takes_keyword(HandsOn(), "colours")
