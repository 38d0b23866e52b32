"""The service behind the routes: stores photos, submits jobs to workers, and turns their failures into problems."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from deeplens_dof.depth.files import suffix_by_content
from deeplens_dof.photo import PhotoError
from deeplens_dof.photo.codecs.formats import SIGNATURE_BYTES
from deeplens_dof.photo.errors import TooLargeError, UnknownFormatError
from deeplens_dof.runtime.worker_pool import (
    MemoryLimitError,
    Pool,
    PoolFullError,
    TimeLimitError,
    WorkerDiedError,
    WorkerError,
)
from deeplens_dof.serve import worker
from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.photo_files import PhotoFiles
from deeplens_dof.serve.problems import ClientDisconnectedError, Problem
from deeplens_dof.serve.store import Store, StoredPhoto
from deeplens_dof.serve.telemetry import Metrics, log
from deeplens_dof.settings import Settings

_STARTING = "the service is loading its weights and compiling its kernels; try again in a moment"
_FIRST_JOB_SECONDS = 1.0  # assumed until a job has been timed


class Service:
    """Workers and stored photos. Create and use it in one event loop."""

    def __init__(self, limits: ServiceLimits, metrics: Metrics | None = None) -> None:
        self.limits, self.metrics = limits, metrics or Metrics()
        self.store = Store(limits, self._forget)
        self.pool = Pool(
            worker.load_state,
            (limits,),
            workers=limits.workers,
            waiting=limits.queue,
            seconds=limits.job_seconds,
            memory_bytes=limits.worker_memory_bytes,
            start_seconds=900,
        )
        self.unfinished, self.usual_seconds = 0, _FIRST_JOB_SECONDS
        self.started = self.stopping = False

    def check_ready(self) -> None:
        """Raises Problem 503 until every worker has been ready once, and again while the service stops."""
        try:
            self.started = self.started or self.pool.wait_ready(0)
        except Exception as error:
            raise Problem(503, f"the workers cannot start: {error}; see deeplens doctor") from None
        ready = self.started and not self.stopping
        self.metrics.ready.set(ready)
        if not ready:
            raise Problem(
                503, "the service is stopping" if self.stopping else _STARTING, {"Retry-After": "2"}
            )

    async def watch(self) -> None:
        """Deletes expired photos, for as long as the service runs."""
        while True:
            await asyncio.sleep(min(5.0, self.limits.stored_seconds / 4))
            self.store.expire()

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.to_thread(self.pool.stop, True)
        self.store.close()

    async def add_photo(
        self, request: Request, file: UploadFile, depth: UploadFile | str | None
    ) -> StoredPhoto:
        """Stores a photo and its depth.

        Args:
            request: aborts the work when its client disconnects.
            file: the photo.
            depth: a depth file, or "auto", "embedded", "predict"; None is "auto".

        Raises:
            Problem: for a photo or depth that cannot be read, and a service that is full.
        """
        with self.store.new() as stored:
            await asyncio.to_thread(_write, file, stored.files.photo)
            given = await self._depth_file(stored, depth)
            seconds = self.limits.decode_seconds
            width, height = await self.job(request, worker.open_photo, stored.files, seconds=seconds)
            facts = await self.job(request, worker.analyse_photo, stored.files, given)
            if isinstance(given, Path):
                given.unlink()
            stored.facts = {"id": stored.id, "width": width, "height": height, **facts}
        return stored

    async def blur(
        self, request: Request, stored: StoredPhoto, settings: Settings, rendering: dict[str, Any]
    ) -> tuple[bytes, dict[str, str]]:
        """The refocused picture as a file, and its headers.

        With two workers or more, full pictures use another worker than previews,
        which stay quick.
        """
        full = rendering["size"] == "full"
        picture: tuple[bytes, dict[str, str]] = await self.job(
            request, worker.blur, stored.files, settings, rendering, full=full
        )
        return picture

    async def repair_depth(self, request: Request, stored: StoredPhoto, file: UploadFile | bytes) -> None:
        """Replaces the depth by a repaired 16-bit PNG, see `worker.repair_depth`."""
        upload = stored.folder / f"repair-{secrets.token_hex(4)}.png"
        await asyncio.to_thread(_write, file, upload)
        files = stored.files
        try:
            newer = replace(files, version=files.version + 1)
            stored.facts |= await self.job(request, worker.repair_depth, newer, upload)
            stored.version += 1
        finally:
            upload.unlink(missing_ok=True)
        self.store.measure(stored)

    async def job(
        self,
        request: Request,
        work: Callable[..., Any],
        files: PhotoFiles,
        *given: Any,
        full: bool = False,
        seconds: float | None = None,
    ) -> Any:
        """The result of `work(state, on_progress, files, *given)` in a worker.

        Args:
            request: aborts the work when its client disconnects.
            work: a function of `worker`.
            files: the photo; its jobs run in order, in one worker.
            given: further arguments.
            full: use the photo's worker for full pictures.
            seconds: time limit; None for that of any job.

        Raises:
            Problem: for a full queue, and a job that fails.
            ClientDisconnectedError: when the client has disconnected.
        """
        self.check_ready()
        name = work.__name__
        try:
            future = self.pool.submit(
                work, files, *given, name="the job", key=(files.id, full), seconds=seconds
            )
        except PoolFullError:
            self.metrics.failed.labels("full").inc()
            wait = math.ceil(self.usual_seconds * (self.unfinished + 1) / self.limits.workers)
            raise Problem(
                429,
                f"{self.unfinished} jobs are running or waiting; try again later",
                {"Retry-After": str(min(max(wait, 1), 60))},
            ) from None
        started = time.monotonic()
        self._count(+1)
        try:
            answer = await _answer(request, future)
        except ClientDisconnectedError:
            self.metrics.failed.labels("gone").inc()
            raise
        except Exception as error:
            raise self._problem(error, name) from error
        finally:
            self._count(-1)
        took = time.monotonic() - started
        self.usual_seconds += 0.1 * (took - self.usual_seconds)
        self.metrics.jobs.labels(name).observe(took)
        return answer

    def _count(self, more: int) -> None:
        self.unfinished += more
        self.metrics.busy.set(self.unfinished)

    def _problem(self, error: Exception, name: str) -> Exception:
        """The problem that tells the caller of a failed job; internal errors are returned unchanged."""
        self.metrics.failed.labels(type(error).__name__).inc()
        retry = {"Retry-After": "1"}
        if isinstance(error, TimeLimitError) and name == "open_photo":
            return Problem(422, "the photo takes too long to open; export it again as JPEG or PNG")
        if isinstance(error, (TimeLimitError, MemoryLimitError)):
            return Problem(503, f"{error}", retry)
        if isinstance(error, WorkerDiedError):
            log.error("worker died", extra={"facts": {"job": name, "error": str(error)}})
            return Problem(503, "the worker process of this job died; try again", retry)
        if isinstance(error, WorkerError):
            return Problem(503, str(error), retry)
        if isinstance(error, MemoryError):
            return Problem(503, "there is not enough memory for this photo; make it smaller", retry)
        if isinstance(error, FileNotFoundError):
            return Problem(404, "the photo was deleted meanwhile; send it again")
        if isinstance(error, UnknownFormatError):
            return Problem(415, str(error))
        if isinstance(error, TooLargeError):
            return Problem(413, str(error))
        if isinstance(error, (PhotoError, ValueError)):
            return Problem(422, str(error))
        return error

    async def _depth_file(self, stored: StoredPhoto, depth: UploadFile | str | None) -> Path | str:
        if depth is None or isinstance(depth, str):
            return depth or "auto"
        head = await depth.read(SIGNATURE_BYTES)
        await depth.seek(0)
        ending = suffix_by_content(head)
        if ending is None:
            raise Problem(
                415,
                "the depth is not a PNG, TIFF, JPEG, EXR, npz, npy or pfm file; export it as one of these",
            )
        path = stored.folder / f"depth{ending}"
        await asyncio.to_thread(_write, depth, path)
        return path

    def _forget(self, id: str) -> None:
        """Removes a deleted photo from the workers' caches."""
        for full in (False, True):
            with suppress(WorkerError):
                self.pool.submit(worker.forget, id, key=(id, full))
            self.pool.forget((id, full))


async def _answer(request: Request, future: Future[Any]) -> Any:
    """The future's result. Cancels a job that has not begun when the client disconnects."""
    result = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_disconnects(request))
    try:
        await asyncio.wait((result, gone), return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            future.cancel()
            raise ClientDisconnectedError
        return result.result()
    finally:
        gone.cancel()
        if not result.done():
            result.cancel()
        elif not result.cancelled():
            result.exception()  # marks it as retrieved


async def _disconnects(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _write(file: UploadFile | bytes, path: Path) -> None:
    with path.open("xb") as target:
        if isinstance(file, bytes):
            target.write(file)
            return
        file.file.seek(0)
        while part := file.file.read(1 << 20):
            target.write(part)
