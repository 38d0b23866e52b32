"""How many threads a call may use when it is not told: of this process, so that several workers share the cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

VARIABLE = "DEEPLENS_THREADS"
_BAND_ROWS = 64


def cores() -> int:
    """What DEEPLENS_THREADS says, else the cores that this process may run on.

    Raises ValueError when the variable holds no whole number of at least 1.
    """
    told = os.environ.get(VARIABLE)
    if told:
        if not told.isascii() or not told.isdigit() or int(told) < 1:
            raise ValueError(f"{VARIABLE} is {told!r}, expected a whole number of at least 1")
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_bands(work: Callable[[int, int], None], height: int, threads: int | None = None) -> None:
    """Calls `work(first_row, last_row)` for bands of rows that cover 0..height, in several threads (None: one
    per core)."""
    bands = [(first, min(height, first + _BAND_ROWS)) for first in range(0, height, _BAND_ROWS)]
    count = min(threads or cores(), len(bands))
    if count <= 1:
        for band in bands:
            work(*band)
        return
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, *band) for band in bands]:
            done.result()
