"""Standard streams as the command finds them: closed, full, broken off, or of no width."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

_NARROWEST = 20  # columns below which help cannot be laid out


def with_standard_streams() -> None:
    """Opens standard streams that are closed on the null device, and drops a number of columns that is none.

    Otherwise the next file that is opened would take the place of a closed stream, and messages would go into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isdecimal() and int(columns) >= _NARROWEST):
        del os.environ["COLUMNS"]


def flushed(code: int) -> int:
    """The exit code once standard output is written, as `unwritten` where it cannot be."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        return unwritten(problem, code)
    return code


def unwritten(problem: OSError, code: int) -> int:
    """The exit code after standard output could not be written: 1, with a sentence.

    A reader that has gone, as `head` does, is no failure.
    """
    with suppress(OSError):  # so that Python does not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if problem.errno == errno.EPIPE:
        return code
    why = problem.strerror or "it is closed"
    print(
        f"deeplens: standard output cannot be written ({why}); give it to a file with space left",
        file=sys.stderr,
    )
    return code or 1
