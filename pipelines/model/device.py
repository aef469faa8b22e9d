"""Which processor a network runs on, in which precision, with how many threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from pipelines.errors import SpecError
from pipelines.text.pack import CPU_TOKEN_BUDGET, CUDA_TOKEN_BUDGET

Precision = Literal["float32", "bfloat16", "float16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(wish: str) -> torch.device:
    """cpu or cuda; auto: cuda where this process has one. SpecError where cuda is asked for and missing."""
    if wish == "cuda" and not torch.cuda.is_available():
        raise SpecError("device is cuda, but this process sees no GPU: set device to auto or cpu")
    return torch.device("cuda" if wish != "cpu" and torch.cuda.is_available() else "cpu")


def pick_precision(wish: Precision | Literal["auto"], device: torch.device) -> Precision:
    """The precision that runs; auto: bfloat16 where the processor multiplies it natively and faster, else float32."""
    if wish != "auto":
        return wish
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = multiplies_bfloat16_faster(torch.cpu.get_capabilities())
    return "bfloat16" if native else "float32"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Within, products are in this precision; weights keep theirs."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "float32")


def multiplies_bfloat16_faster(capabilities: Mapping[str, Any]) -> bool:
    """Whether a CPU, told as by ``torch.cpu.get_capabilities``, is faster in bfloat16 than in float32.

    Intel's are by AMX alone. Where that is missing, or hidden by a virtual machine, their AVX512-BF16 takes twice the
    time of float32 (77 against 145 GFLOP/s a core); AMD's takes half of it.
    """
    if any(capabilities.get(name, False) for name in ("amx_bf16", "bf16")):
        return True
    return bool(capabilities.get("avx512_bf16", False)) and "intel" not in str(capabilities.get("cpu_name", "")).lower()


def pick_lanes(wish: int | str, device: torch.device) -> int:
    """Batches that run at once on a CPU, each in one thread; auto: torch's own number of threads. 1 on a GPU.

    Threads that share a batch wait for each other at every layer: as soon as another process takes one of their cores
    they are slower than a single thread. Threads with a batch each never wait.
    """
    lanes = int(wish) if wish != "auto" else torch.get_num_threads()
    return lanes if device.type == "cpu" else 1


def pick_token_budget(wish: int | str, device: torch.device) -> int:
    """Tokens of a forward pass, padding counted."""
    if wish != "auto":
        return int(wish)
    return CUDA_TOKEN_BUDGET if device.type == "cuda" else CPU_TOKEN_BUDGET
