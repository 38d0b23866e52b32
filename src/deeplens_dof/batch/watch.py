"""Looks at folders again and again, and does what is new there once it has come in whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deeplens_dof.batch.jobs import Job, Plan
from deeplens_dof.batch.manifest import Record
from deeplens_dof.runtime.errors import PlanError

State = tuple[int, int, int]  # of a file: which it is, its size and when it was written

_PATIENCE = 5.0  # looking takes at most a fifth of the time


def watch(
    look: Callable[[], Plan],
    do: Callable[[list[Job]], list[Record]],
    say: Callable[[str], None],
    seconds: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Until it is interrupted: looks every so many seconds, and does the photos that have not changed since the look
    before. One that failed is done again when it changes. say: hears what is wrong with a look, once.
    """
    seen: dict[Path, State] = {}
    settled: dict[Path, State] = {}
    said = ""
    while True:
        started = time.monotonic()
        try:
            jobs, problem = look().jobs, ""
        except PlanError as error:
            jobs, problem = [], str(error)
        if problem and problem != said:
            say(problem)
        said = problem
        now = {job.source: state for job in jobs if not job.problem and (state := _state(job.source))}
        ready = [
            job
            for job in jobs
            if (state := now.get(job.source)) and seen.get(job.source) == state != settled.get(job.source)
        ]
        seen = now
        settled |= {job.source: now[job.source] for job in ready}
        looked = time.monotonic() - started
        if ready:
            do(ready)
        sleep(max(seconds, _PATIENCE * looked))


def _state(path: Path) -> State | None:
    try:
        found = path.stat()
    except OSError:  # gone again, or a link to nothing
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
