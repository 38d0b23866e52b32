"""Ctrl-C handled at a safe point, such as the end of a training iteration."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C instead of raising KeyboardInterrupt; a second one raises it at once.

    Yields a function that returns whether Ctrl-C was pressed. Does nothing outside the main thread, or where SIGINT is
    ignored (a background job).
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,
        None,
    ):
        yield interrupted.is_set
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C in this worker process.

    A terminal sends Ctrl-C to every process; the parent handles it and ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start processes with SIGINT blocked: a terminal sends Ctrl-C to every process, but only the parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
