"""Files appear whole or not at all: written beside their place, synced, then moved there."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = (
    ".deeplens-",
    ".part",
)  # of the file that is not yet in its place: PREFIX host-process-chance SUFFIX
_FOREIGN_S = 3600.0  # a file of another machine, whose processes cannot be seen, is left for so long

_LONGEST_NAME = 200


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a new file in the folder of `path`, sync it and put it in the place of `path`.

    A reader sees the old file or the whole new one. A symbolic link is followed; a replaced file keeps its
    permission bits. On any failure the old file is untouched and the new one is gone; a killed process leaves
    `.deeplens-*.part`, which `remove_leftovers` takes away. Raises OSError, one sentence with the `errno` of its
    cause, when the operating system refuses or `path` is a folder, a device or a pipe; whatever else `write`
    raises passes through.
    """
    try:
        target = _target(path)
        mode = _mode_of(target)
        temporary = target.parent / f"{PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        file = temporary.open("x+b")
        try:
            with file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                temporary.chmod(mode)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise _sentence(path, error) from error


def remove_leftovers(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Removes what writers that were killed have left in these folders (not below them); returns what it removed.

    A file of a process that still runs stays, and so does one of another machine until it is an hour old.
    """
    removed = []
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            for entry in os.scandir(folder):
                if (made := _NAME.fullmatch(entry.name)) and _is_left(entry, *made.groups()):
                    with suppress(FileNotFoundError):  # another run was quicker
                        os.unlink(entry.path)
                        removed.append(Path(entry.path))
    return removed


def _is_left(entry: os.DirEntry[str], host: str | None, process: str | None) -> bool:
    import psutil

    try:
        changed = entry.stat(follow_symlinks=False).st_mtime
        if host != _host() or process is None:
            return time.time() - changed > _FOREIGN_S
        writer = psutil.Process(int(process))
        return bool(writer.status() == psutil.STATUS_ZOMBIE or writer.create_time() > changed + 2)
    except FileNotFoundError:
        return False
    except psutil.AccessDenied:
        return False
    except psutil.NoSuchProcess:
        return True


@cache
def _host() -> str:
    return hashlib.sha256(platform.node().encode("utf-8", "surrogateescape")).hexdigest()[:8]


_NAME = re.compile(rf"{re.escape(PREFIX)}(?:([0-9a-f]{{8}})-(\d{{1,10}})-)?[0-9a-f]{{16}}{re.escape(SUFFIX)}")


def _target(path: str | os.PathLike[str]) -> Path:
    """Where the file will lie, links followed."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise OSError(errno.EINVAL, "its name cannot be written in the file system's encoding") from error
    if b"\0" in name:
        raise OSError(errno.EINVAL, "its name holds a NUL character")
    return Path(os.fsdecode(os.path.realpath(path)))


def _mode_of(target: Path) -> int | None:
    """Permission bits of the file that is replaced; None when there is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a plain file")
    return stat.S_IMODE(found.st_mode)


def _sync_folder(folder: Path) -> None:
    """Makes the move itself durable where the system can; the file is whole either way."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sentence(path: str | os.PathLike[str], error: OSError) -> OSError:
    """The same kind of error as a sentence: what was to be written where, why it is not, what to do."""
    folder, name = os.path.split(os.fsdecode(path))
    place = f" into {_shown(folder)}" if folder else ""
    reason = error.strerror or type(error).__name__
    advice = "check the path, its permissions and the free space, or choose another place"
    sentence = type(error)(f"cannot write {_shown(name)}{place}: {reason}; {advice}")
    sentence.errno = error.errno
    return sentence


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…")
