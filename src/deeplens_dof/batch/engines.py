"""Engines that run the jobs on this machine: in this process, or in worker processes with limits."""

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
from deeplens_dof.batch.process import JobOptions, OnProgress, failed, process_photo
from deeplens_dof.runtime.atomic_write import remove_leftovers
from deeplens_dof.runtime.errors import shown
from deeplens_dof.runtime.threads import THREADS_VARIABLE, thread_count
from deeplens_dof.runtime.worker_pool import Pool, WorkerError
from deeplens_dof.warmup import compile_blur, first_use

OnJobProgress = Callable[[Job, str], None]
Work = Callable[[Job, JobOptions, OnProgress], Record]


class Engine(Protocol):
    """Runs jobs, in any order.

    `jobs` is consumed lazily, one per free worker, so it may be arbitrarily long. A failure is reported in that job's
    record.
    """

    def process(
        self, jobs: Iterator[Job], options: JobOptions, on_progress: OnJobProgress
    ) -> Iterator[Record]: ...
    def stop(self) -> None: ...


class InProcess:
    """Processes one photo after another in this process."""

    def process(
        self, jobs: Iterator[Job], options: JobOptions, on_progress: OnJobProgress
    ) -> Iterator[Record]:
        for job in jobs:
            yield process_photo(job, options, _for_job(job, on_progress))

    def stop(self) -> None:
        """Do nothing: no process is left running."""


class InWorkers:
    """Processes photos in parallel in worker processes, which share the cores of this machine.

    Args:
        workers: number of processes.
        seconds: time limit of a photo; None is no limit. A worker that exceeds a limit is killed and replaced.
        memory_bytes: memory limit of a photo's process; None is no limit.
        work: replaces `process_photo` in tests.

    Raises:
        ValueError: DEEPLENS_THREADS is not a number.
    """

    def __init__(
        self,
        workers: int = 1,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        work: Work = process_photo,
    ) -> None:
        self.workers, self.work = workers, work
        self._threads = max(1, thread_count() // workers)
        self._limits = (seconds, memory_bytes)
        self._pool: Pool | None = None

    def process(
        self, jobs: Iterator[Job], options: JobOptions, on_progress: OnJobProgress
    ) -> Iterator[Record]:
        running: dict[Future[Record], Job] = {}
        started: dict[Job, float] = {}
        more = True

        def progress(job: Job, text: str) -> None:
            started.setdefault(job, time.monotonic())
            on_progress(job, text)

        while more or running:
            while more and len(running) < 2 * self.workers:  # for each worker one running and one waiting
                job = next(jobs, None)
                if job is None:
                    more = False
                    break
                running[self._submit(job, options, progress)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                job = running.pop(future)
                now = time.monotonic()
                yield self._record(job, future, now - started.pop(job, now))

    def stop(self) -> None:
        """Kill the workers."""
        if self._pool:
            self._pool.stop(at_once=True)
            self._pool = None

    def _submit(self, job: Job, options: JobOptions, on_progress: OnJobProgress) -> Future[Record]:
        self._pool = self._pool or self._open_pool()
        arguments = (self.work, job, options)
        return self._pool.submit(
            _in_worker, *arguments, name=shown(job.source), progress=_for_job(job, on_progress)
        )

    def _open_pool(self) -> Pool:
        seconds, memory_bytes = self._limits
        return Pool(
            prepare_worker,
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
        except Exception as error:  # such as a worker that could not be started
            return failed(job, error)


def prepare_worker(threads: int, limited: bool) -> None:
    """Prepare this process for `process_photo`.

    Args:
        threads: its share of the cores.
        limited: whether photos have a time limit; then all kernels are compiled now, so that no photo pays for it.
    """
    os.environ[THREADS_VARIABLE] = str(threads)
    for module in ("pipeline", "depth.predict", "lens_blur.render"):
        import_module(f"deeplens_dof.{module}")
    if limited and first_use():
        compile_blur()


def _in_worker(_: None, on_progress: OnProgress, work: Work, job: Job, options: JobOptions) -> Record:
    return work(job, options, on_progress)


def _for_job(job: Job, on_progress: OnJobProgress) -> OnProgress:
    return lambda text: on_progress(job, text)
