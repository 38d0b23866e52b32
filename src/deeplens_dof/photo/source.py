"""The bytes of a source: a regular file, or bytes already in memory."""

from __future__ import annotations

import os
import stat

from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import Limits
from deeplens_dof.runtime.errors import reason, shown


def bytes_of(source: str | os.PathLike[str] | bytes | bytearray | memoryview, limits: Limits) -> bytes:
    """All bytes of `source`. Raises PhotoError for folders, pipes, devices and files over `limits.max_bytes`."""
    name = shown(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        limits.check_file(name, memoryview(source).nbytes)
        return bytes(source)
    try:
        return _file_bytes(source, name, limits)
    except OSError as problem:
        raise PhotoError(f"{name} cannot be read: {reason(problem)}") from problem
    except ValueError as problem:
        if isinstance(problem, PhotoError):
            raise
        raise PhotoError(f"{name} cannot be read: the name holds a NUL character; rename it") from problem


def _file_bytes(path: str | os.PathLike[str], name: str, limits: Limits) -> bytes:
    _check_plain(os.stat(path).st_mode, name)
    flags = os.O_RDONLY
    for extra in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # a pipe put there meanwhile must not hang us
        flags |= getattr(os, extra, 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        _check_plain(found.st_mode, name)
        limits.check_file(name, found.st_size)
        data = file.read(limits.max_bytes + 1)
    limits.check_file(name, len(data))
    return data


def _check_plain(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise PhotoError(f"{name} is a folder, expected a picture file; name a file in it")
    if not stat.S_ISREG(mode):
        raise PhotoError(f"{name} is a pipe or a device, expected a picture file; save it to a file first")
