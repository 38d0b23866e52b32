"""The default number of threads per call, and work split over bands of rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS_VARIABLE = "DEEPLENS_THREADS"
_BAND_ROWS = 64


def thread_count() -> int:
    """The number of threads a call uses by default.

    Returns:
        The value of DEEPLENS_THREADS if it is set (worker processes set it to their share of the cores), otherwise the
        number of cores this process may run on.

    Raises:
        ValueError: DEEPLENS_THREADS is not a whole number of at least 1.
    """
    value = os.environ.get(THREADS_VARIABLE)
    if value:
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise ValueError(f"{THREADS_VARIABLE} is {value!r}, expected a whole number of at least 1")
        return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_bands(work: Callable[[int, int], None], height: int, threads: int | None = None) -> None:
    """Call `work(first_row, end_row)` for bands of rows that cover 0..height, in several threads.

    Args:
        work: must release the GIL to gain anything. Its exceptions are raised here.
        height: number of rows.
        threads: None is `thread_count()`.
    """
    bands = [(first, min(height, first + _BAND_ROWS)) for first in range(0, height, _BAND_ROWS)]
    count = min(threads or thread_count(), len(bands))
    if count <= 1:
        for band in bands:
            work(*band)
        return
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(work, *band) for band in bands]:
            future.result()
