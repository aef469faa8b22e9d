import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.device import (
    multiplies_bfloat16_faster,
    pick_device,
    pick_lanes,
    pick_precision,
    pick_token_budget,
)

CPU = torch.device("cpu")


def test_a_named_precision_is_kept_and_auto_is_what_the_processor_is_faster_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_precision("float16", CPU) == "float16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert pick_precision("auto", CPU) == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    assert pick_precision("auto", CPU) == "float32"


@pytest.mark.parametrize(
    ("capabilities", "faster"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"bf16": True}, True),
        ({"cpu_name": "AMD EPYC", "avx512_f": True}, False),
    ],
)
def test_processors_that_are_faster_in_bfloat16(capabilities: dict[str, object], faster: bool) -> None:
    assert multiplies_bfloat16_faster(capabilities) == faster


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == CPU
    with pytest.raises(SpecError, match="sees no GPU"):
        pick_device("cuda")


def test_threads_and_budget() -> None:
    assert pick_lanes("auto", CPU) == torch.get_num_threads()
    assert pick_lanes(3, CPU) == 3
    assert pick_lanes(3, torch.device("cuda")) == 1
    assert pick_token_budget(77, CPU) == 77
    assert pick_token_budget("auto", torch.device("cuda")) > pick_token_budget("auto", CPU)
