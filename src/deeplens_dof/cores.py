"""How many threads a call may use when it is not told: of this process, so that several workers share the cores."""

from __future__ import annotations

import os

VARIABLE = "DEEPLENS_THREADS"


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
