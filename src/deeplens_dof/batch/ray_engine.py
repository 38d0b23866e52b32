"""An engine for clusters: Ray Data distributes the photos to actors, each with one core and its own model sessions.

Photos that an actor or machine was processing when it was lost are retried elsewhere. Needs the extra `[ray]`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice
from typing import Any

from deeplens_dof.batch.engines import InWorkers, OnJobProgress, Work, prepare_worker
from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.process import JobOptions, failed, process_photo
from deeplens_dof.batch.storage import as_path
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.runtime.telemetry import without_telemetry
from deeplens_dof.runtime.threads import THREADS_VARIABLE
from deeplens_dof.runtime.worker_pool import WorkerDiedError

# Jobs that Ray is given at a time.
_WINDOW = 10_000
# Attempts at a photo whose actor is lost each time.
_ATTEMPTS = 3


class OnRay:
    """Runs jobs on the cluster that RAY_ADDRESS names or that this process belongs to; otherwise on this machine.

    Args:
        actors: photos processed in parallel; None is one per core of the cluster.
        seconds: time limit of a photo; None is no limit.
        memory_bytes: memory limit of a photo; None is no limit.
        work: replaces `process_photo` in tests.

    Raises:
        PlanError: Ray is not installed, or the cluster does not answer.
    """

    def __init__(
        self,
        actors: int | None = None,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        work: Work = process_photo,
    ) -> None:
        if find_spec("ray") is None or find_spec("pyarrow") is None or find_spec("pandas") is None:
            raise PlanError("--engine ray needs Ray Data; install it with pip install 'deeplens-dof[ray]'")
        self.actors, self.limits, self.work = actors, (seconds, memory_bytes), work
        self._joined = False

    def process(
        self, jobs: Iterator[Job], options: JobOptions, on_progress: OnJobProgress
    ) -> Iterator[Record]:
        """Run the jobs. `on_progress` is not called: actors do not report their progress."""
        while window := list(islice(jobs, _WINDOW)):
            self._join()
            yield from self._window(window, options)

    def stop(self) -> None:
        """Leave the cluster, which ends our actors there."""
        if self._joined:
            import ray

            ray.shutdown()
            self._joined = False

    def _join(self) -> None:
        with without_telemetry():
            import ray

        if ray.is_initialized():
            return
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise PlanError(
                f"the Ray cluster cannot be joined ({reason}); check RAY_ADDRESS, or unset it to use this machine"
            ) from error
        self._joined = True

    def _window(self, window: list[Job], options: JobOptions) -> Iterator[Record]:
        """The record of each job.

        A job can be lost only because it was queued behind one that crashed the actor, so lost jobs are retried with a
        queue of one.
        """
        from ray.exceptions import RayError

        left = {_encode(job): job for job in window}
        problem = f"its actors were lost {_ATTEMPTS} times; process it alone, with --debug"
        try:
            for queue in (2, 1):
                for text, record in self._run(list(left), options, queue):
                    del left[text]
                    yield _decode_record(record)
        except RayError as error:
            problem = f"Ray failed ({' '.join(str(error).split())})"
        for job in left.values():
            yield failed(job, WorkerDiedError(f"{job.source} was not done: {problem}"))

    def _run(self, texts: list[str], options: JobOptions, queue: int) -> Iterator[tuple[str, str]]:
        """Encoded jobs with their encoded records, as they complete; lost jobs are missing.

        Args:
            queue: jobs that an actor holds at a time, including the one it is processing.
        """
        if not texts:
            return
        import ray.data

        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        actors = min(self.actors or cores, len(texts))
        with _quiet_data():
            rows = ray.data.from_items([{"job": text} for text in texts], override_num_blocks=len(texts))
            records = rows.map(
                _Actor,
                fn_constructor_args=[self.work, options, *self.limits, os.getcwd()],
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=queue
                ),
                num_cpus=1,
                max_restarts=-1,
                max_task_retries=_ATTEMPTS - 1,
            )
            for row in records.iter_rows():
                yield row["job"], row["record"]


class _Actor:
    """An actor's state: a process that has loaded everything `process_photo` needs.

    Args:
        folder: working folder of the command, so that relative paths mean the same on each node. A node without that
            folder can only process remote addresses and absolute paths.
    """

    def __init__(
        self, work: Work, options: JobOptions, seconds: float | None, memory_bytes: int | None, folder: str
    ) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)
        os.environ[THREADS_VARIABLE] = "1"
        self.work, self.options = work, options
        self.engine: InWorkers | None = None
        if seconds is not None or memory_bytes is not None:
            self.engine = InWorkers(1, seconds, memory_bytes, work)
        else:
            prepare_worker(1, False)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = _decode(row["job"])
        if self.engine is None:
            record = self.work(job, self.options, lambda _: None)
        else:
            (record,) = self.engine.process(iter([job]), self.options, lambda *_: None)
        return {"job": row["job"], "record": json.dumps(asdict(record))}


def _encode(job: Job) -> str:
    """A job as ASCII text, whatever bytes its paths hold."""
    others = [None if path is None else str(path) for path in (job.depth_out, job.overlay, job.depth)]
    return json.dumps([str(job.source), str(job.out), job.name, *others])


def _decode(text: str) -> Job:
    source, out, name, *others = json.loads(text)
    depth_out, overlay, depth = (None if path is None else as_path(path) for path in others)
    return Job(as_path(source), as_path(out), name, depth_out, overlay, depth=depth)


def _decode_record(text: str) -> Record:
    facts = json.loads(text)
    return Record(**facts | {"outputs": tuple(Output(**output) for output in facts["outputs"])})


@contextmanager
def _quiet_data() -> Iterator[None]:
    """Ray Data without progress bars, and without ending the run when a photo fails."""
    import ray.data

    context = ray.data.DataContext.get_current()
    settings = {"max_errored_blocks": -1, "enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
