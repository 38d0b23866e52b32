"""Runs a batch: engines process the jobs, the manifest records them, and later runs skip them.

One bad photo never stops a run.
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
from deeplens_dof.batch.process import JobOptions, failed, skipped
from deeplens_dof.batch.remote_manifest import RemoteManifest
from deeplens_dof.batch.storage import is_remote
from deeplens_dof.runtime.atomic_write import remove_leftovers
from deeplens_dof.runtime.errors import PlanError, reason


class Reporter(Protocol):
    """Receives the progress of a batch: the number of jobs, each job's steps, and each record."""

    def begin(self, total: int) -> None: ...
    def stage(self, job: Job, text: str) -> None: ...
    def settled(self, record: Record) -> None: ...


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@dataclass
class Batch:
    """A run over the jobs of one output folder. Use as a context manager, in which SIGTERM acts like Ctrl-C.

    Attributes:
        options: of all jobs.
        reporter: receives the progress.
        engine: runs the jobs.
        folder: where the manifest is kept; None keeps none.
        resume: skip jobs that the manifest lists as done and unchanged.
        shard: (I, N) of the manifest.
    """

    options: JobOptions
    reporter: Reporter
    engine: Engine = field(default_factory=InProcess)
    folder: Path | None = None
    resume: bool = False
    shard: tuple[int, int] | None = None
    _manifest: Manifest | None = field(default=None, init=False, repr=False)
    _stopped: Exception | None = field(default=None, init=False, repr=False)
    _folders: set[Path] = field(default_factory=set, init=False, repr=False)
    _signal_before: Any = field(default=None, init=False, repr=False)

    def process(self, jobs: Sequence[Job]) -> list[Record]:
        """Process the jobs; may be called repeatedly, with further jobs.

        Returns:
            One record per job, in their order. Once the disk is full, jobs that have not started fail.

        Raises:
            PlanError: another run holds the manifest.
        """
        self._stopped = None
        self.reporter.begin(len(jobs))
        folders = {output.parent for job in jobs for output in job.outputs}
        self._folders |= folders
        remove_leftovers(folders)
        records: dict[Job, Record] = {}
        by_paths = {(str(job.source), str(job.out)): job for job in jobs}

        def settle(record: Record) -> None:
            records[by_paths[record.input, record.output]] = record
            self.reporter.settled(record)

        pending = self._pending(jobs, settle)
        for record in self.engine.process(pending, self.options, self.reporter.stage):
            self._append(record)
            settle(record)
        return [records[job] for job in jobs]

    def close(self) -> None:
        """Stop the engine and delete its temporary files."""
        if self._signal_before is not None:
            signal.signal(signal.SIGTERM, self._signal_before)
            self._signal_before = None
        self.engine.stop()
        remove_leftovers(self._folders)
        if self._manifest:
            self._manifest.close()

    def __enter__(self) -> Batch:
        if current_thread() is main_thread():
            self._signal_before = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(self, _: type[BaseException] | None, __: object, ___: TracebackType | None) -> None:
        self.close()

    def _pending(self, jobs: Iterable[Job], settle: Callable[[Record], None]) -> Iterator[Job]:
        """The jobs left for the engine; the others are settled here."""
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
            and self._manifest.is_done(job.name, job.source, job.outputs, job.depth)
        )

    def _open_manifest(self) -> None:
        """Open the manifest, if one is kept, before the first job starts."""
        if self.folder is None or self._manifest or self._stopped:
            return
        try:
            kind = RemoteManifest if is_remote(self.folder) else Manifest
            self._manifest = kind(self.folder, self.options.sha256(), self.shard)
        except (LockedError, ValueError) as error:
            raise PlanError(str(error)) from None
        except OSError as error:
            self._stop(error)

    def _append(self, record: Record) -> None:
        if record.full_disk:
            self._stop(OSError(errno.ENOSPC, ""))
        if self._manifest:
            try:
                self._manifest.append(record)
            except OSError as error:
                self._stop(error)

    def _stop(self, error: OSError) -> None:
        folder = "" if self.folder is None else f" in {str(self.folder)!r}"
        self._stopped = self._stopped or ValueError(f"nothing more can be written{folder}: {reason(error)}")
