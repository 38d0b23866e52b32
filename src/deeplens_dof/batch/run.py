"""Many photos: in this process or in several that can be killed; what was done is written down, and skipped next time.

An engine does the work and is handed jobs one by one, as many as it has hands for; `Batch` decides which are to do,
writes the manifest and tells the reporter. One bad photo never stops the run.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from types import TracebackType
from typing import Any, Protocol

from deeplens_dof.batch.engines import Engine, InProcess
from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import LockedError, Manifest, Record
from deeplens_dof.batch.process import Order, failed, skipped
from deeplens_dof.batch.remote_manifest import StoreManifest
from deeplens_dof.batch.storage import in_store
from deeplens_dof.runtime.atomic_write import remove_leftovers
from deeplens_dof.runtime.errors import PlanError, reason


class Reporter(Protocol):
    """What a batch tells while it runs."""

    def begin(self, total: int) -> None: ...
    def stage(self, job: Job, text: str) -> None: ...
    def settled(self, record: Record) -> None: ...


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


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
