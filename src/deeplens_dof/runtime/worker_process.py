"""The inside of a worker process: loads its state, does what it is sent, answers, and ends with its parent."""

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


class Traceback(Exception):
    """The cause of an exception that came from a worker: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class UnsendableError(Exception):
    """What a worker raised or returned cannot be sent to its parent; this says it in words."""


def serve(connection: Connection, start: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Answers ("done", value) or ("failed", (exception, traceback)), first for `start`, then for every task; until
    the parent hangs up. A task that came is first answered ("begun", None); whatever it tells on the way is sent as
    ("tells", text).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    sending = Lock()

    def send(kind: str, value: Any) -> None:
        with sending:
            connection.send((kind, value))

    def tell(text: str) -> None:
        send("tells", text)

    def attempt(work: Callable[[], Any], answers: bool) -> Any:
        """The value, after the answer was sent; `answers`: with the value in it."""
        try:
            value = work()
        except BaseException as error:
            send("failed", (_sendable(error), traceback.format_exc()))
            return None
        try:
            send("done", value if answers else None)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            send("failed", (UnsendableError(f"what the task returned cannot be sent: {error}"), ""))
        return value

    state = attempt(partial(start, *arguments), answers=False)
    while True:
        try:
            work, given = connection.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # a task that cannot be unpickled here
            send("failed", (_sendable(error), traceback.format_exc()))
            continue
        send("begun", None)
        attempt(partial(work, state, tell, *given), answers=True)
        del work, given  # large arguments go before the next task comes


def _end_with_parent() -> None:
    """A killed parent does not stop its workers; they stop themselves, in mid-task too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _sendable(error: BaseException) -> Exception:
    """The exception itself if it survives pickling, else its kind and text."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # of our own making a moment ago
    except Exception:
        copy = None
    if isinstance(copy, Exception) and str(copy) == str(error):
        return copy
    return UnsendableError(f"{type(error).__name__}: {error}")
