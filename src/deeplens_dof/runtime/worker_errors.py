"""Reasons for which a pool of workers does not complete a task."""

from __future__ import annotations


class WorkerError(Exception):
    """The pool could not complete a task. The message is one sentence that starts with the task's name."""


class TimeLimitError(WorkerError):
    """The task exceeded its time limit; its worker was killed."""


class MemoryLimitError(WorkerError):
    """The worker exceeded the task's memory limit and was killed."""


class WorkerDiedError(WorkerError):
    """The worker ended during the task: it crashed in compiled code or was killed."""


class NotBegunError(WorkerDiedError):
    """The worker had ended before it received the task."""


class PoolFullError(WorkerError):
    """The queue is full; try again later."""


class PoolStoppedError(WorkerError):
    """The pool was stopped before the task was done."""
