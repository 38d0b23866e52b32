"""Open files and other objects with `read` or `write`, in place of paths."""

from __future__ import annotations

import io
import os
from typing import Protocol, TypeGuard, runtime_checkable

from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import Limits
from deeplens_dof.runtime.errors import reason, shown


@runtime_checkable
class Readable(Protocol):
    """An open file, a BytesIO, a response, ..."""

    def read(self, size: int = -1, /) -> bytes: ...


@runtime_checkable
class Writable(Protocol):
    """An open file, a BytesIO, ..."""

    def write(self, data: bytes, /) -> object: ...


Target = str | os.PathLike[str] | Writable


def is_readable(source: object) -> TypeGuard[Readable]:
    return not isinstance(source, (str, os.PathLike)) and callable(getattr(source, "read", None))


def is_writable(target: object) -> TypeGuard[Writable]:
    return not isinstance(target, (str, os.PathLike)) and callable(getattr(target, "write", None))


def name_of(file: object) -> str:
    """What messages call a file: its name, where it has one."""
    name = getattr(file, "name", None)
    return shown(name) if isinstance(name, (str, os.PathLike)) else "the file"


def read_bytes(file: Readable, limits: Limits) -> bytes:
    """The bytes from where the file stands to its end.

    Raises PhotoError for a file opened as text, one that cannot be read, and more bytes than the limits allow.
    """
    name = name_of(file)
    try:
        data = file.read(limits.max_bytes + 1)
    except OSError as problem:
        raise PhotoError(f"{name} cannot be read: {reason(problem)}") from problem
    except ValueError as problem:  # text that is not Unicode, or a closed file
        raise PhotoError(f"{name} cannot be read ({problem}); open it as bytes, with 'rb'") from problem
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise PhotoError(f"{name} gives {type(data).__name__}, expected bytes; open it with 'rb'")
    limits.check_file(name, len(data))
    return bytes(data)


def write_bytes(file: Writable, data: bytes) -> None:
    """Writes all bytes where the file stands, and leaves it open. Raises PhotoError where it cannot be written."""
    name = name_of(file)
    left = memoryview(data)
    try:
        while left:  # a raw file may take less at a time
            taken = file.write(bytes(left))
            if taken == 0 or (taken is None and isinstance(file, io.RawIOBase)):
                raise PhotoError(
                    f"{name} takes no more bytes, {len(left):,} are left; give a file that takes all of them"
                )
            left = left[taken:] if isinstance(taken, int) and 0 < taken < len(left) else left[:0]
    except OSError as problem:
        raise PhotoError(f"{name} cannot be written: {reason(problem)}") from problem
    except (TypeError, ValueError) as problem:
        raise PhotoError(f"{name} cannot be written ({problem}); open it as bytes, with 'wb'") from problem
