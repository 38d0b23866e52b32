"""Atomic writing that raises PhotoError."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.runtime import atomic_write
from deeplens_dof.runtime.errors import reason, shown


def write_file(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """As `runtime.atomic_write.write_atomically`, but raises PhotoError, one sentence, instead of OSError."""
    try:
        atomic_write.write_atomically(path, write)
    except OSError as problem:
        cause = problem.__cause__
        why = reason(cause if isinstance(cause, OSError) else problem)
        raise PhotoError(f"{shown(path)} cannot be written: {why}") from problem
