"""An engine for many machines: Ray Data hands the photos to actors, each of which has one core and holds its sessions.

What an actor was doing when it or its machine was lost is done again elsewhere. Needs the extra `[ray]`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice
from typing import Any

from deeplens_dof.batch.engines import InWorkers, open_worker
from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.process import Order, do_job, failed
from deeplens_dof.batch.storage import place
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.runtime.threads import THREADS_VARIABLE
from deeplens_dof.runtime.worker_pool import WorkerDiedError

Work = Callable[[Job, Order, Callable[[str], None]], Record]

_WINDOW = 10_000  # jobs that Ray is given at a time
_ATTEMPTS = 3  # at a photo whose actor is lost each time


class OnRay:
    """actors: how many photos are done at a time; None is one on every core of the cluster. seconds, memory_bytes: what one
    photo may take. The cluster is the one that RAY_ADDRESS names or that this process is in, or else this machine alone.

    work: for tests. Raises PlanError when Ray is not installed or the cluster does not answer.
    """

    def __init__(
        self,
        actors: int | None = None,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        work: Work = do_job,
    ) -> None:
        if find_spec("ray") is None or find_spec("pyarrow") is None or find_spec("pandas") is None:
            raise PlanError("--engine ray needs Ray Data; install it with pip install 'deeplens-dof[ray]'")
        self.actors, self.limits, self.work = actors, (seconds, memory_bytes), work
        self._began = False

    def do(self, jobs: Iterator[Job], order: Order, tell: Callable[[Job, str], None]) -> Iterator[Record]:
        """tell hears nothing: what the actors are at stays with them."""
        while window := list(islice(jobs, _WINDOW)):
            self._join()
            yield from self._window(window, order)

    def stop(self) -> None:
        """Leaves the cluster, and ends what runs for us there."""
        if self._began:
            import ray

            ray.shutdown()
            self._began = False

    def _join(self) -> None:
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
        self._began = True

    def _window(self, window: list[Job], order: Order) -> Iterator[Record]:
        """Each job's record. Those that were lost with an actor too often may have waited in it for the one that brings it
        down, so they are tried once more, with none waiting."""
        from ray.exceptions import RayError

        left = {_written(job): job for job in window}
        problem = f"the actors that took it up were lost {_ATTEMPTS} times; look at it alone, with --debug"
        try:
            for at_hand in (2, 1):
                for text, record in self._answers(list(left), order, at_hand):
                    yield _record(left.pop(text), record)
        except RayError as error:
            problem = f"Ray has given up ({' '.join(str(error).split())})"
        for job in left.values():
            yield failed(job, WorkerDiedError(f"{job.source} was not done: {problem}"))

    def _answers(self, texts: list[str], order: Order, at_hand: int) -> Iterator[tuple[str, str]]:
        """Jobs and their records, as they are done; none for a job that was lost. at_hand: how many an actor has, the one
        at work included."""
        if not texts:
            return
        import ray.data

        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        actors = min(self.actors or cores, len(texts))
        with _quiet_data():
            rows = ray.data.from_items([{"job": text} for text in texts], override_num_blocks=len(texts))
            records = rows.map(
                _Hand,
                fn_constructor_args=[self.work, order, *self.limits, os.getcwd()],
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=at_hand
                ),
                num_cpus=1,
                max_restarts=-1,
                max_task_retries=_ATTEMPTS - 1,
            )
            for row in records.iter_rows():
                yield row["job"], row["record"]


class _Hand:
    """An actor's state: a process that has loaded what `do_job` needs. folder: where the command was given, so that names
    mean the same here; a node that has no such folder can do with addresses and whole paths alone.
    """

    def __init__(
        self, work: Work, order: Order, seconds: float | None, memory_bytes: int | None, folder: str
    ) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)
        os.environ[THREADS_VARIABLE] = "1"
        self.work, self.order = work, order
        self.engine: InWorkers | None = None
        if seconds is not None or memory_bytes is not None:
            self.engine = InWorkers(1, seconds, memory_bytes, work)
        else:
            open_worker(1, False)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = _read(row["job"])
        if self.engine is None:
            record = self.work(job, self.order, lambda _: None)
        else:
            (record,) = self.engine.do(iter([job]), self.order, lambda *_: None)
        return {"job": row["job"], "record": json.dumps(asdict(record))}


def _written(job: Job) -> str:
    """ASCII, whatever bytes a name is made of."""
    others = [None if each is None else str(each) for each in (job.depth_out, job.overlay)]
    return json.dumps([str(job.source), str(job.out), job.name, *others])


def _read(text: str) -> Job:
    source, out, name, depth_out, overlay = json.loads(text)
    return Job(
        place(source),
        place(out),
        name,
        None if depth_out is None else place(depth_out),
        None if overlay is None else place(overlay),
    )


def _record(job: Job, text: str) -> Record:
    facts = json.loads(text)
    return Record(**facts | {"outputs": tuple(Output(**each) for each in facts["outputs"])})


@contextmanager
def _quiet_data() -> Iterator[None]:
    """No progress bars, and no photo that ends the run; for as long as it lasts."""
    import ray.data

    context = ray.data.DataContext.get_current()
    wanted = {"max_errored_blocks": -1, "enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
