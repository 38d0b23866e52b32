"""Ctrl-C takes effect between two iterations."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether Ctrl-C came. A second Ctrl-C interrupts at once.

    Outside the main thread, and where interrupts are ignored (a job in the background), nothing changes.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,
        None,
    ):
        yield came.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def leave_interrupts_to_the_parent() -> None:
    """For workers of a pool: Ctrl-C reaches every process of a terminal; one says so, and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
