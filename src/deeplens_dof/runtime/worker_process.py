"""The main loop of a worker process: load the state, run tasks, send results, exit with the parent."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from threading import Lock, Thread
from typing import Any


class RemoteTraceback(Exception):
    """The traceback of an exception in a worker, as text; set as the exception's cause."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class UnsendableError(Exception):
    """A worker's result or exception cannot be pickled; the message describes it."""


def worker_main(connection: Connection, start: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run `start`, then every task received, until the parent closes the connection.

    Messages to the parent: ("begun", None) when a task is received, ("progress", text) for each progress text, then
    ("done", value) or ("failed", (exception, traceback)). `start` is answered by the last kind only.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    sending = Lock()

    def send(kind: str, value: Any) -> None:
        with sending:
            connection.send((kind, value))

    def on_progress(text: str) -> None:
        send("progress", text)

    def attempt(work: Callable[[], Any], send_value: bool) -> Any:
        """The value of `work`, after its outcome was sent; `send_value`: with the value."""
        try:
            value = work()
        except BaseException as error:
            send("failed", (_sendable(error), traceback.format_exc()))
            return None
        try:
            send("done", value if send_value else None)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            send("failed", (UnsendableError(f"the task's result cannot be sent: {error}"), ""))
        return value

    state = attempt(partial(start, *arguments), send_value=False)
    while True:
        try:
            work, given = connection.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # a task that cannot be unpickled here
            send("failed", (_sendable(error), traceback.format_exc()))
            continue
        send("begun", None)
        attempt(partial(work, state, on_progress, *given), send_value=True)
        del work, given  # free large arguments before waiting for the next task


def _end_with_parent() -> None:
    """Exit when the parent ends, even in the middle of a task: a killed parent cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _sendable(error: BaseException) -> Exception:
    """The exception itself if it survives pickling, otherwise one with its type and message."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # data from this process
    except Exception:
        copy = None
    if isinstance(copy, Exception) and str(copy) == str(error):
        return copy
    return UnsendableError(f"{type(error).__name__}: {error}")
