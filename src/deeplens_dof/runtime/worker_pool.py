"""A pool of worker processes with hard limits on time and memory.

Each worker loads its state once and runs one task at a time. A worker whose task hangs, exceeds its memory limit or
crashes is killed and replaced.

    with Pool(load, (model,), workers=2, seconds=60, memory_bytes=2 << 30) as pool:
        future = pool.submit(work, path, name="in.jpg")    # calls work(load(model), on_progress, path) in a worker
        future.result()

Functions and arguments are pickled, so functions must be defined at the top level of a module. Processes are spawned
and inherit no threads, locks or open files. A script that creates a pool needs `if __name__ == "__main__":`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread, current_thread
from types import TracebackType
from typing import Any, Literal

import psutil

from deeplens_dof.runtime.interrupt import interrupts_blocked
from deeplens_dof.runtime.worker_errors import (
    MemoryLimitError,
    NotBegunError,
    PoolFullError,
    PoolStoppedError,
    TimeLimitError,
    WorkerDiedError,
    WorkerError,
)
from deeplens_dof.runtime.worker_process import RemoteTraceback, worker_main

# How often a running task is checked against its limits.
_TICK_S = 0.05

OnProgress = Callable[[str], None]

__all__ = [
    "MemoryLimitError",
    "OnProgress",
    "Pool",
    "PoolFullError",
    "PoolStoppedError",
    "TimeLimitError",
    "WorkerDiedError",
    "WorkerError",
]


@dataclass(slots=True)
class _Task:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    name: str
    worker: int | None  # the worker that must run it; None is any
    seconds: float | None
    memory_bytes: int | None
    progress: OnProgress | None
    future: Future[Any] = field(default_factory=Future)


class Pool:
    """A fixed number of workers and a queue of tasks, run in order. Thread-safe.

    Args:
        start: `start(*arguments)` runs once in each new worker and returns its state.
        arguments: picklable.
        workers: number of processes, at least 1.
        waiting: how many tasks may wait besides those that run; None is any number.
        seconds: default time limit of a task; None is no limit.
        memory_bytes: default memory limit of a task, for its whole process; None is no limit.
        start_seconds: time limit of `start`.
    """

    def __init__(
        self,
        start: Callable[..., Any],
        arguments: tuple[Any, ...] = (),
        *,
        workers: int = 1,
        waiting: int | None = None,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        start_seconds: float = 300.0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self._most = None if waiting is None else workers + waiting
        self._limits = (seconds, memory_bytes)
        self._state: Literal["open", "ending", "stopped"] = "open"
        self._changed = Condition()  # guards everything below
        self._waiting: deque[_Task] = deque()
        self._unfinished = 0
        self._worker_of_key: dict[Hashable, int] = {}
        self._slots = [_Slot(self, number, start, arguments, start_seconds) for number in range(workers)]
        for slot in self._slots:
            slot.thread.start()

    def submit(
        self,
        work: Callable[..., Any],
        *arguments: Any,
        name: str = "the task",
        key: Hashable = None,
        seconds: float | None = None,
        memory_bytes: int | None = None,
        progress: OnProgress | None = None,
    ) -> Future[Any]:
        """Queue `work(state, on_progress, *arguments)` and return its future.

        Args:
            work: a function at the top level of a module.
            arguments: picklable.
            name: of the task, for error messages.
            key: tasks of one key run in one worker, in order, until `forget`. State kept for them is lost if the worker
                is replaced.
            seconds: time limit; None is the pool's.
            memory_bytes: memory limit; None is the pool's.
            progress: receives each text the worker passes to `on_progress`, in a thread of the pool.

        Returns:
            A future with the result or the exception of `work`. It fails with TimeLimitError, MemoryLimitError,
            WorkerDiedError or PoolStoppedError if the worker is killed or dies.

        Raises:
            PoolFullError: the queue is full.
            PoolStoppedError: the pool has been stopped.
        """
        default_seconds, default_bytes = self._limits
        seconds = default_seconds if seconds is None else seconds
        memory_bytes = default_bytes if memory_bytes is None else memory_bytes
        with self._changed:
            if self._state != "open":
                raise PoolStoppedError(f"{name} was not started: the workers have been stopped")
            if self._most is not None and self._unfinished >= self._most:
                raise PoolFullError(
                    f"{name} was not started: {self._unfinished} tasks run and wait, which is the limit; "
                    "try again later"
                )
            worker = None if key is None else self._worker_for(key)
            task = _Task(work, arguments, name, worker, seconds, memory_bytes, progress)
            task.future.add_done_callback(self._count_down)
            self._unfinished += 1
            self._waiting.append(task)
            self._changed.notify_all()
        return task.future

    def forget(self, key: Hashable) -> None:
        """Release the key: its next tasks may run in any worker."""
        with self._changed:
            self._worker_of_key.pop(key, None)

    def wait_ready(self, seconds: float | None = None) -> bool:
        """Wait until every worker has loaded its state.

        Args:
            seconds: how long to wait; None is without limit.

        Returns:
            Whether every worker is ready.

        Raises:
            Exception: whatever `start` raised in a worker.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._state != "open" or all(slot.tried for slot in self._slots), seconds
            )
            for slot in self._slots:
                if slot.start_error:
                    raise slot.start_error
            return all(slot.ready for slot in self._slots)

    def pids(self) -> list[int]:
        """The ids of the running worker processes."""
        with self._changed:
            return [pid for slot in self._slots if (pid := slot.pid) is not None]

    def stop(self, at_once: bool = False) -> None:
        """End the workers and return once every process is gone. May be called repeatedly, also from another thread.

        Args:
            at_once: False finishes all submitted tasks first; True kills running tasks and cancels waiting ones.
        """
        with self._changed:
            self._state = "stopped" if at_once or self._state == "stopped" else "ending"
            dropped = list(self._waiting) if at_once else []
            if at_once:
                self._waiting.clear()
            self._changed.notify_all()
        for task in dropped:
            task.future.cancel()
            task.future.set_running_or_notify_cancel()
        for slot in self._slots:
            if slot.thread is not current_thread():
                slot.thread.join()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self.stop(at_once=kind is not None)

    def _worker_for(self, key: Hashable) -> int:
        """The key's worker; for a new key the one with the fewest keys."""
        if key not in self._worker_of_key:
            keys = Counter(self._worker_of_key.values())
            self._worker_of_key[key] = min(range(len(self._slots)), key=lambda number: keys[number])
        return self._worker_of_key[key]

    def _count_down(self, _: Future[Any]) -> None:
        with self._changed:
            self._unfinished -= 1

    def _next(self, number: int) -> _Task | None:
        """Wait for the worker's next task; None when the worker should end."""
        with self._changed:
            while True:
                task = next((task for task in self._waiting if task.worker in (None, number)), None)
                if task:
                    self._waiting.remove(task)
                    return task
                if self._state != "open":
                    return None
                self._changed.wait()

    def _must_stop(self) -> bool:
        return self._state == "stopped"


class _Slot:
    """One worker's slot: a thread that sends it tasks, enforces their limits, and kills and replaces it."""

    def __init__(
        self, pool: Pool, number: int, start: Callable[..., Any], arguments: tuple[Any, ...], seconds: float
    ) -> None:
        self.pool, self.number = pool, number
        self.start, self.start_arguments, self.start_seconds = start, arguments, seconds
        self.process: Any = None
        self.pid: int | None = None
        self.ready = False
        self.start_error: Exception | None = None
        self.thread = Thread(target=self._run, name=f"deeplens worker {number}", daemon=True)

    @property
    def tried(self) -> bool:
        """Whether loading the state has succeeded or failed."""
        return self.ready or self.start_error is not None

    def _run(self) -> None:
        self._launch_quietly()
        while (task := self.pool._next(self.number)) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                answer = self._do(task)
            except Exception as error:
                if not self.ready:
                    self._launch_quietly()
                task.future.set_exception(error)
            else:
                task.future.set_result(answer)
        self._end(kill=self.pool._must_stop())

    def _do(self, task: _Task) -> Any:
        if not self.ready:
            self._launch()
        message = (task.work, task.arguments)
        try:
            try:
                self.connection.send(message)
            except ConnectionError:
                raise self._died(task.name, begun=False) from None
            return self._answer(task)
        except NotBegunError:  # it died while idle
            self._launch()
            self.connection.send(message)
            return self._answer(task)

    def _answer(self, task: _Task) -> Any:
        """Wait for the result of the task that was sent, while enforcing its limits."""
        started = time.monotonic()
        begun = False
        while True:
            kind, value = self._receive(task.name, begun)
            begun = begun or kind == "begun"
            if kind == "done":
                return value
            if kind == "failed":
                error, text = value
                error.__cause__ = RemoteTraceback(text)
                raise error
            if kind == "progress" and task.progress:
                task.progress(value)
            if problem := self._beyond_limits(task, time.monotonic() - started):
                self._end(kill=True)
                raise problem

    def _receive(self, name: str, begun: bool) -> tuple[str, Any]:
        """The worker's next message, or ("", None) if there is none within one tick."""
        try:
            message: tuple[str, Any] = self.connection.recv() if self.connection.poll(_TICK_S) else ("", None)
        except (EOFError, OSError):
            raise self._died(name, begun) from None
        except Exception:  # an answer that cannot be unpickled
            self._end(kill=True)
            raise
        return message

    def _beyond_limits(self, task: _Task, seconds: float) -> WorkerError | None:
        if self.pool._must_stop():
            return PoolStoppedError(f"{task.name} was stopped before it was done")
        if task.seconds is not None and seconds > task.seconds:
            return TimeLimitError(
                f"{task.name} took longer than the time limit of {task.seconds:g} s and was stopped; "
                "raise the limit or use a smaller picture"
            )
        if task.memory_bytes is not None and _resident_bytes(self.pid) > task.memory_bytes:
            return MemoryLimitError(
                f"{task.name} took more than the memory limit of {task.memory_bytes / 1e6:,.0f} MB and was stopped; "
                "raise the limit or use a smaller picture"
            )
        return None

    def _launch_quietly(self) -> None:
        """Start the worker; if that fails, the next task tries again and reports why."""
        if not self.pool._must_stop():
            with suppress(Exception):  # kept in start_error
                self._launch()

    def _launch(self) -> None:
        """Start the worker and wait until its state is loaded. Raises the error of whichever step fails."""
        context = multiprocessing.get_context("spawn")
        try:
            self.connection, worker_end = context.Pipe()
            arguments = (worker_end, self.start, self.start_arguments)
            process = context.Process(target=worker_main, args=arguments, name=self.thread.name, daemon=True)
            with _process_table, interrupts_blocked():
                process.start()
            worker_end.close()
            self._set(process=process, pid=process.pid)
            name = "loading a worker"
            self._answer(_Task(worker_main, (), name, None, self.start_seconds, None, None))
        except Exception as error:
            self._end(kill=True)
            self._set(start_error=error)
            raise
        self._set(ready=True, start_error=None)

    def _died(self, name: str, begun: bool) -> WorkerDiedError:
        self.process.join(5)
        code = self.process.exitcode
        self._end(kill=True)
        how = f"with exit code {code}"
        if code is not None and code < 0:
            how = f"by signal {-code} ({signal.Signals(-code).name}); it crashed or ran out of memory"
        kind = WorkerDiedError if begun else NotBegunError
        return kind(f"{name} was not done: its worker ended {how}")

    def _end(self, kill: bool = False) -> None:
        """End the process, if there is one, and wait until it is gone."""
        process = self.process
        if process is None:
            return
        self._set(process=None, pid=None, ready=False)
        self.connection.close()  # ends an idle worker
        if kill:
            process.kill()
        with _process_table:
            process.join(5)
            process.kill()
            process.join()
            process.close()

    def _set(self, **facts: Any) -> None:
        with self.pool._changed:
            for name, value in facts.items():
                setattr(self, name, value)
            self.pool._changed.notify_all()


# multiprocessing's list of child processes is not thread-safe.
_process_table = Lock()


def _resident_bytes(pid: int | None) -> int:
    try:
        return int(psutil.Process(pid or os.getpid()).memory_info().rss) if pid else 0
    except psutil.Error:  # it has just ended; the connection will report that
        return 0
