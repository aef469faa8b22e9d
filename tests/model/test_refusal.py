import numpy as np
import torch

from pipelines.model.refusal import MAX_REASON, is_out_of_memory, reason, refusals

OFFSETS = np.array([0, 2, 2, 5, 6])


def test_chunks_that_no_network_should_see() -> None:
    values = np.array([1, 2, 3, 4, 5, 99], np.int32)
    found = refusals(values, OFFSETS, vocab_size=50, max_positions=2)
    assert found == {
        1: "the chunk has no tokens",
        2: "the chunk has 3 tokens, the model 2 positions",
        3: "a token id is outside the model's vocabulary of 50",
    }
    assert refusals(values, OFFSETS, vocab_size=100, max_positions=0) == {1: "the chunk has no tokens"}
    negative = np.array([1, -2, 3, 4, 5, 9], np.int32)
    assert list(refusals(negative, OFFSETS, vocab_size=50, max_positions=9)) == [1, 0]


def test_reasons_are_one_short_line() -> None:
    assert reason(RuntimeError("shape\nat line 3")) == "RuntimeError: shape"
    assert reason(ValueError()) == "ValueError: "
    assert len(reason(RuntimeError("x" * 999))) == MAX_REASON


def test_running_out_of_memory_is_told_apart() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("size mismatch"))
