"""Many photos: in this process or in several that can be killed; what was done is written down, and skipped next time.

An engine does the work and is handed jobs one by one, as many as it has hands for; `Batch` decides which are to do,
writes the manifest and tells the reporter. One bad photo never stops the run.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread
from types import TracebackType
from typing import Any, Protocol

from deeplens_dof.jobs import Job
from deeplens_dof.manifest import LockedError, Manifest, Record
from deeplens_dof.one_job import Order, do_job, failed, first_use, skipped
from deeplens_dof.places import in_store
from deeplens_dof.runtime.atomic_write import remove_leftovers
from deeplens_dof.runtime.errors import PlanError, reason, shown
from deeplens_dof.runtime.threads import VARIABLE, cores
from deeplens_dof.runtime.worker_pool import Pool, WorkerError
from deeplens_dof.store_manifest import StoreManifest


class Reporter(Protocol):
    """What a batch tells while it runs."""

    def begin(self, total: int) -> None: ...
    def stage(self, job: Job, text: str) -> None: ...
    def settled(self, record: Record) -> None: ...


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
        self._threads = max(1, cores() // workers)
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
    os.environ[VARIABLE] = str(threads)
    for module in ("pipeline", "depth.predict", "lens_blur.render"):
        import_module(f"{__package__}.{module}")
    if limited and first_use():
        from deeplens_dof.doctor import compile_blur

        compile_blur()


def _in_worker(
    _: None, tell: Callable[[str], None], work: Callable[..., Record], job: Job, order: Order
) -> Record:
    return work(job, order, tell)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _teller(job: Job, tell: Callable[[Job, str], None]) -> Callable[[str], None]:
    return lambda text: tell(job, text)


@dataclass
class Batch:
    """A run over the jobs of one folder of results; made once, `do` may be called again with more jobs.

    folder: where the manifest lies; None keeps none. resume: whether jobs are skipped that it says are done. Used as a
    context, in which SIGTERM is as good as Ctrl-C; raises PlanError when another run is at work there.
    """

    order: Order
    reporter: Reporter
    engine: Engine = field(default_factory=InProcess)
    folder: Path | None = None
    resume: bool = False
    shard: tuple[int, int] | None = None
    _manifest: Manifest | None = None
    _stopped: Exception | None = None
    _swept: set[Path] = field(default_factory=set)
    _before: Any = None

    def do(self, jobs: Sequence[Job]) -> list[Record]:
        """Does the jobs; one record each, in their order. When the disk is full, those not begun fail with that."""
        self._stopped = None
        self.reporter.begin(len(jobs))
        folders = {output.parent for job in jobs for output in job.outputs}
        self._swept |= folders
        remove_leftovers(folders)
        records: dict[Job, Record] = {}
        by_name = {(str(job.source), str(job.out)): job for job in jobs}

        def settle(record: Record) -> None:
            records[by_name[record.input, record.output]] = record
            self.reporter.settled(record)

        for record in self.engine.do(self._to_do(jobs, settle), self.order, self.reporter.stage):
            settle(self._written_down(record))
        return [records[job] for job in jobs]

    def close(self) -> None:
        """Ends what runs and takes away what it left half written."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None
        self.engine.stop()
        remove_leftovers(self._swept)
        if self._manifest:
            self._manifest.close()

    def __enter__(self) -> Batch:
        if current_thread() is main_thread():
            self._before = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(self, _: type[BaseException] | None, __: object, ___: TracebackType | None) -> None:
        self.close()

    def _to_do(self, jobs: Iterable[Job], settle: Callable[[Record], None]) -> Iterator[Job]:
        """The jobs that the engine has to do; the others are settled on the way."""
        for job in jobs:
            if job.problem:
                settle(failed(job, ValueError(job.problem)))
                continue
            self._open_manifest()
            if self._is_done(job):
                settle(skipped(job))
            elif self._stopped:
                settle(failed(job, ValueError(f"{job.source} was not begun: {self._stopped}")))
            else:
                yield job

    def _is_done(self, job: Job) -> bool:
        return (
            self.resume
            and self._manifest is not None
            and self._manifest.is_done(job.name, job.source, job.outputs)
        )

    def _open_manifest(self) -> None:
        """Opens it, if there is to be one, before the first job is begun."""
        if self.folder is None or self._manifest or self._stopped:
            return
        try:
            kind = StoreManifest if in_store(self.folder) else Manifest
            self._manifest = kind(self.folder, self.order.sha256(), self.shard)
        except (LockedError, ValueError) as error:
            raise PlanError(str(error)) from None
        except OSError as error:
            self._stop(error)

    def _written_down(self, record: Record) -> Record:
        if record.full_disk:
            self._stop(OSError(errno.ENOSPC, ""))
        if self._manifest:
            try:
                self._manifest.append(record)
            except OSError as error:
                self._stop(error)
        return record

    def _stop(self, error: OSError) -> None:
        where = "" if self.folder is None else f" in {str(self.folder)!r}"
        self._stopped = self._stopped or ValueError(f"nothing more can be written{where}: {reason(error)}")
