"""Worker processes that can be killed: each loads its state once, does one task at a time, and is replaced when a
task hangs, explodes or brings it down.

    with Pool(load, (model,), workers=2, seconds=60, memory_bytes=2 << 30) as pool:
        future = pool.submit(work, path, name="in.jpg")    # in the worker: work(load(model), tell, path)
        future.result()

Functions and arguments are pickled, so functions stand at the top of a module. Processes are spawned: nothing of the
parent's threads, locks or open files gets into them. A script that makes a pool needs `if __name__ == "__main__":`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread, current_thread
from types import TracebackType
from typing import Any, Literal

import psutil

from deeplens_dof.runtime.worker_process import Traceback, serve

_TICK_S = 0.05  # how often a running task is held against its limits
Tell = Callable[[str], None]


class WorkerError(Exception):
    """A task was not done, for no reason of its own. One sentence that starts with the task's name."""


class TimeLimitError(WorkerError):
    """The task took longer than it may; its worker was killed."""


class MemoryLimitError(WorkerError):
    """The task's worker took more memory than it may, and was killed."""


class WorkerDiedError(WorkerError):
    """The worker ended in the middle of the task: a crash in compiled code, or somebody killed it."""


class _NotBegunError(WorkerDiedError):
    """The worker had ended before it took the task up."""


class PoolFullError(WorkerError):
    """As many tasks wait as may; try again later."""


class PoolStoppedError(WorkerError):
    """The pool was stopped before the task was done."""


@dataclass(slots=True)
class _Task:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    name: str
    home: int | None  # the worker that has to do it; None is any
    seconds: float | None
    memory_bytes: int | None
    progress: Tell | None
    future: Future[Any] = field(default_factory=Future)


class Pool:
    """So many workers, and tasks waiting for them in order.

    start(*arguments) runs once in every new worker and returns its state. seconds, memory_bytes: what one task may
    take (memory is that of its whole process), unless `submit` says otherwise. waiting: how many tasks may wait
    beyond those that run; None is any number. start_seconds: what loading the state may take. Thread-safe.
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
        self._changed = Condition()  # guards all that follows
        self._waiting: deque[_Task] = deque()
        self._unfinished = 0
        self._homes: dict[Hashable, int] = {}
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
        progress: Tell | None = None,
    ) -> Future[Any]:
        """The future of `work(state, tell, *arguments)` in a worker; an exception there is raised by the future.

        key: tasks of one key are done by one worker, in order, until `forget`; what it kept for them in its state is
        gone when it was replaced meanwhile. progress: called with what the worker `tell`s, in a thread of the pool.
        The future fails with TimeLimitError, MemoryLimitError, WorkerDiedError or PoolStoppedError when the worker
        is killed or dies. Raises PoolFullError at once when too many tasks wait, PoolStoppedError after `stop`.
        """
        usual_seconds, usual_bytes = self._limits
        seconds = usual_seconds if seconds is None else seconds
        memory_bytes = usual_bytes if memory_bytes is None else memory_bytes
        with self._changed:
            if self._state != "open":
                raise PoolStoppedError(f"{name} was not started: the workers have been stopped")
            if self._most is not None and self._unfinished >= self._most:
                raise PoolFullError(
                    f"{name} was not started: {self._unfinished} tasks run and wait, which is as many as may; "
                    "try again later"
                )
            home = None if key is None else self._home(key)
            task = _Task(work, arguments, name, home, seconds, memory_bytes, progress)
            task.future.add_done_callback(self._count_down)
            self._unfinished += 1
            self._waiting.append(task)
            self._changed.notify_all()
        return task.future

    def forget(self, key: Hashable) -> None:
        """Tasks of this key may go to another worker from now on."""
        with self._changed:
            self._homes.pop(key, None)

    def wait_ready(self, seconds: float | None = None) -> bool:
        """Waits until every worker has loaded its state; whether it has. Raises what `start` raised."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._state != "open" or all(slot.tried for slot in self._slots), seconds
            )
            for slot in self._slots:
                if slot.start_error:
                    raise slot.start_error
            return all(slot.ready for slot in self._slots)

    def pids(self) -> list[int]:
        """The processes that there are now."""
        with self._changed:
            return [pid for slot in self._slots if (pid := slot.pid) is not None]

    def stop(self, at_once: bool = False) -> None:
        """Ends the workers: after all that was submitted, or at once (what runs fails, what waits is cancelled).

        Returns when every process is gone. May be called again, `at_once` too while a slow stop is under way.
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

    def _home(self, key: Hashable) -> int:
        if key not in self._homes:
            keys = Counter(self._homes.values())
            self._homes[key] = min(range(len(self._slots)), key=lambda number: keys[number])
        return self._homes[key]

    def _count_down(self, _: Future[Any]) -> None:
        with self._changed:
            self._unfinished -= 1

    def _next(self, number: int) -> _Task | None:
        """The next task for that worker, once there is one; None when it shall end."""
        with self._changed:
            while True:
                mine = next((task for task in self._waiting if task.home in (None, number)), None)
                if mine:
                    self._waiting.remove(mine)
                    return mine
                if self._state != "open":
                    return None
                self._changed.wait()

    def _must_stop(self) -> bool:
        return self._state == "stopped"


class _Slot:
    """The place of one worker: a thread that feeds it, watches it, kills it and replaces it."""

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
        """Whether its state has been loaded, or could not be."""
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
        except _NotBegunError:  # it had died while it had nothing to do
            self._launch()
            self.connection.send(message)
            return self._answer(task)

    def _answer(self, task: _Task) -> Any:
        """What the worker makes of the task that it was sent; within the task's limits."""
        started = time.monotonic()
        begun = False
        while True:
            try:
                answer: tuple[str, Any] = (
                    self.connection.recv() if self.connection.poll(_TICK_S) else ("", None)
                )
            except (EOFError, OSError):
                raise self._died(task.name, begun) from None
            except Exception:  # an answer that cannot be unpickled
                self._end(kill=True)
                raise
            kind, value = answer
            begun = begun or kind == "begun"
            if kind == "done":
                return value
            if kind == "failed":
                error, text = value
                error.__cause__ = Traceback(text)
                raise error
            if kind == "tells" and task.progress:
                task.progress(value)
            if problem := self._beyond_limits(task, time.monotonic() - started):
                self._end(kill=True)
                raise problem

    def _beyond_limits(self, task: _Task, seconds: float) -> WorkerError | None:
        if self.pool._must_stop():
            return PoolStoppedError(f"{task.name} was stopped before it was done")
        if task.seconds is not None and seconds > task.seconds:
            return TimeLimitError(
                f"{task.name} took longer than the time limit of {task.seconds:g} s and was stopped; "
                "raise the limit or make it smaller"
            )
        if task.memory_bytes is not None and _resident_bytes(self.pid) > task.memory_bytes:
            return MemoryLimitError(
                f"{task.name} took more than the memory limit of {task.memory_bytes / 1e6:,.0f} MB and was stopped; "
                "raise the limit or make it smaller"
            )
        return None

    def _launch_quietly(self) -> None:
        """Starts the worker if it can be; the next task tries again and is told why it cannot."""
        if not self.pool._must_stop():
            with suppress(Exception):  # kept in start_error
                self._launch()

    def _launch(self) -> None:
        """Starts the worker and waits until its state is loaded. Raises what went wrong."""
        context = multiprocessing.get_context("spawn")
        try:
            self.connection, theirs = context.Pipe()
            arguments = (theirs, self.start, self.start_arguments)
            process = context.Process(target=serve, args=arguments, name=self.thread.name, daemon=True)
            with _process_table, _interrupts_held_back():
                process.start()
            theirs.close()
            self._set(process=process, pid=process.pid)
            name = "loading a worker"
            self._answer(_Task(serve, (), name, None, self.start_seconds, None, None))
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
        kind = WorkerDiedError if begun else _NotBegunError
        return kind(f"{name} was not done: its worker ended {how}")

    def _end(self, kill: bool = False) -> None:
        """Ends the process, if there is one, and waits for its end; nothing is left of it."""
        process = self.process
        if process is None:
            return
        self._set(process=None, pid=None, ready=False)
        self.connection.close()  # which ends an idle worker
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


_process_table = Lock()  # multiprocessing's list of children is not made for several threads


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A Ctrl-C goes to every process of a terminal; a new one is born deaf to it, as the parent decides what ends."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _resident_bytes(pid: int | None) -> int:
    try:
        return int(psutil.Process(pid or os.getpid()).memory_info().rss) if pid else 0
    except psutil.Error:  # it has just ended, which the connection will tell
        return 0
