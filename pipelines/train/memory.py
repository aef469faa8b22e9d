"""Memory of a process that asks for the same amounts at every step."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers of what it is told: from how many bytes on what is freed is given back, and one amount is mapped."""
ONE_GB = 2**30
MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for what is asked for next, in place of giving it back; whether it does.

    Given back, each tensor's memory is mapped and zeroed by the kernel at every step anew, a page at a time.
    Without glibc, which alone is asked here, all stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, ONE_GB) and mallopt(M_TRIM_THRESHOLD, MOST))
