"""Engines on this machine: in this process, or in several that can be killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from importlib import import_module
from typing import Protocol

from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Record
from deeplens_dof.batch.process import Order, do_job, failed
from deeplens_dof.runtime.atomic_write import remove_leftovers
from deeplens_dof.runtime.errors import shown
from deeplens_dof.runtime.threads import THREADS_VARIABLE, thread_count
from deeplens_dof.runtime.worker_pool import Pool, WorkerError
from deeplens_dof.warmup import first_use


class Engine(Protocol):
    """Does jobs, in any order, and says what became of each. `jobs` is asked for the next one only when there is a hand
    free, so that it may be long; what breaks one job is in its record.
    """

    def do(self, jobs: Iterator[Job], order: Order, tell: Callable[[Job, str], None]) -> Iterator[Record]: ...
    def stop(self) -> None: ...


class InProcess:
    """One photo after the other, in this process."""

    def do(self, jobs: Iterator[Job], order: Order, tell: Callable[[Job, str], None]) -> Iterator[Record]:
        for job in jobs:
            yield do_job(job, order, _teller(job, tell))

    def stop(self) -> None:
        """Nothing is left running."""


class InWorkers:
    """So many processes on this machine, which share its cores; what hangs or explodes is killed and named.

    seconds, memory_bytes: what one photo may take; None is any amount. work: for tests. Raises ValueError for a
    DEEPLENS_THREADS that is no number.
    """

    def __init__(
        self,
        workers: int = 1,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        work: Callable[[Job, Order, Callable[[str], None]], Record] = do_job,
    ) -> None:
        self.workers, self.work = workers, work
        self._threads = max(1, thread_count() // workers)
        self._limits = (seconds, memory_bytes)
        self._pool: Pool | None = None

    def do(self, jobs: Iterator[Job], order: Order, tell: Callable[[Job, str], None]) -> Iterator[Record]:
        running: dict[Future[Record], Job] = {}
        began: dict[Job, float] = {}
        more = True

        def hear(job: Job, text: str) -> None:
            began.setdefault(job, time.monotonic())
            tell(job, text)

        while more or running:
            while more and len(running) < 2 * self.workers:  # one at work, one at hand
                job = next(jobs, None)
                if job is None:
                    more = False
                    break
                self._pool = self._pool or self._opened()
                arguments = (self.work, job, order)
                future = self._pool.submit(
                    _in_worker, *arguments, name=shown(job.source), progress=_teller(job, hear)
                )
                running[future] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(future)
                now = time.monotonic()
                yield self._record(job, future, now - began.pop(job, now))

    def stop(self) -> None:
        """Kills what runs."""
        if self._pool:
            self._pool.stop(at_once=True)
            self._pool = None

    def _opened(self) -> Pool:
        seconds, memory_bytes = self._limits
        return Pool(
            open_worker,
            (self._threads, seconds is not None),
            workers=self.workers,
            seconds=seconds,
            memory_bytes=memory_bytes,
            start_seconds=1200.0,
        )

    @staticmethod
    def _record(job: Job, future: Future[Record], seconds: float) -> Record:
        try:
            return future.result()
        except WorkerError as error:
            remove_leftovers({output.parent for output in job.outputs})
            return replace(failed(job, error, seconds), error=str(error))
        except Exception as error:  # the worker could not be started, or the like
            return failed(job, error)


def open_worker(threads: int, limited: bool) -> None:
    """Makes a process ready for `do_job`: its share of the cores, the code; with a time limit the compiled loops too, so
    that no photo pays for them.
    """
    os.environ[THREADS_VARIABLE] = str(threads)
    for module in ("pipeline", "depth.predict", "lens_blur.render"):
        import_module(f"deeplens_dof.{module}")
    if limited and first_use():
        from deeplens_dof.warmup import compile_blur

        compile_blur()


def _in_worker(
    _: None, tell: Callable[[str], None], work: Callable[..., Record], job: Job, order: Order
) -> Record:
    return work(job, order, tell)


def _teller(job: Job, tell: Callable[[Job, str], None]) -> Callable[[str], None]:
    return lambda text: tell(job, text)
