"""Watches folders and processes new photos once they are complete."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deeplens_dof.batch.jobs import Job, Plan
from deeplens_dof.batch.manifest import Record
from deeplens_dof.runtime.errors import PlanError

# Of a file: inode, size in bytes and modification time in ns.
State = tuple[int, int, int]

# Wait so many times as long as a scan took, so that scanning takes at most about a fifth of the time.
_WAIT_PER_SCAN = 5.0


def watch(
    scan: Callable[[], Plan],
    process: Callable[[list[Job]], list[Record]],
    say: Callable[[str], None],
    seconds: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Scan until interrupted, and process the photos that have not changed since the previous scan.

    A photo that failed is processed again when it changes.

    Args:
        scan: plans the jobs of the files that exist now.
        process: processes jobs; a failure is reported in the job's record.
        say: receives the problem of a scan, once.
        seconds: shortest time between two scans.
        sleep: replaced in tests.
    """
    previous: dict[Path, State] = {}
    processed: dict[Path, State] = {}
    reported = ""
    while True:
        started = time.monotonic()
        try:
            jobs, problem = scan().jobs, ""
        except PlanError as error:
            jobs, problem = [], str(error)
        if problem and problem != reported:
            say(problem)
        reported = problem
        now = {job.source: state for job in jobs if not job.problem and (state := _state(job.source))}
        ready = [
            job
            for job in jobs
            if (state := now.get(job.source))
            and previous.get(job.source) == state != processed.get(job.source)
        ]
        previous = now
        processed |= {job.source: now[job.source] for job in ready}
        scan_seconds = time.monotonic() - started
        if ready:
            process(ready)
        sleep(max(seconds, _WAIT_PER_SCAN * scan_seconds))


def _state(path: Path) -> State | None:
    try:
        facts = path.stat()
    except OSError:  # deleted meanwhile, or a dangling link
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
