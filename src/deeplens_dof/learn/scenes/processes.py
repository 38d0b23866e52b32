"""Makes training data in one process or in several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from typing import TypeVar

from deeplens_dof.runtime.interrupt import ignore_interrupts

Job = TypeVar("Job")


def run_jobs(make: Callable[[Job], object], jobs: list[Job], workers: int) -> Iterator[object]:
    """Calls `make` on each job, in this process or in several; yields the results as they come."""
    if workers == 1 or len(jobs) < 2:
        yield from map(make, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, ignore_interrupts) as pool:
        yield from pool.imap_unordered(make, jobs, chunksize=4)
