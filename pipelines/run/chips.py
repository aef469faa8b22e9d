"""Dense peaks of GPUs, for the share of the peak that a run reached and for how many actors a GPU can feed."""

from __future__ import annotations

PEAK_FLOPS = {
    "GB300": 2.5e15,
    "GB200": 2.5e15,
    "B300": 2.25e15,
    "B200": 2.25e15,
    "H200": 989e12,
    "GH200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "A40": 149.7e12,
    "A30": 165e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "T4": 65e12,
    "V100": 125e12,
}
"""Dense (without sparsity) FLOP/s of matrix products in bfloat16 with float32 accumulation; float16 for T4 and V100,
which have no bfloat16. From NVIDIA's data sheets of each product; where these state sparse peaks, half of them."""


def peak_flops(device: str) -> float | None:
    """Dense peak of a device, FLOP/s, by the name that torch gives ("NVIDIA H200") or Ray ("A100-80G"); None: unknown.

    The longest name of the table that is found counts, so that an H100 PCIe is no H100.
    """
    words = f" {device} ".replace("-", " ")
    found = [name for name in PEAK_FLOPS if f" {name} " in words]
    return PEAK_FLOPS[max(found, key=len)] if found else None
