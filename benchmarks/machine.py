"""What a measurement was made on, in words fit for a file that others read."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("ray", "torch", "transformers", "sentence-transformers", "tokenizers", "pyarrow")
NOTABLE_FLAGS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16")


def processor() -> str:
    """Number of cores, the processor's name, and what it has for matrix products."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"^model name\s*: (.*)$", about, re.MULTILINE)
    flags = set(re.findall(r"\w+", next(iter(re.findall(r"^flags\s*: (.*)$", about, re.MULTILINE)), "")))
    best = next((flag for flag in NOTABLE_FLAGS if flag in flags), "")
    return " ".join(filter(None, [f"{os.cpu_count()} cores", name[1].strip() if name else platform.machine(), best]))


def gpu() -> str:
    """Name of the first GPU, "" where there is none."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def hardware() -> str:
    """GPU, if there is one, and processor."""
    return ", ".join(filter(None, [gpu(), processor()]))


def slug(words: str) -> str:
    """Words as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def versions() -> str:
    """Python and the libraries that decide the speed, and the commit that was measured."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    return ", ".join([f"commit {git.stdout.strip() or 'unknown'}", f"Python {platform.python_version()}", *libraries])


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns as wide as they must be, numbers to the right. Rows are as long as the head."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [head, ruler, *rows]
    return "\n".join("| " + " | ".join(_cells(line, widths)) + " |" for line in lines)


def _cells(line: list[str], widths: list[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
