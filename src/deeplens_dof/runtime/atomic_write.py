"""Atomic file writes: a file is written beside its destination, synced, then moved into place."""

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

# A temporary file is named PREFIX host-process-random SUFFIX.
PREFIX = ".deeplens-"
SUFFIX = ".part"
# Age at which a temporary file of another machine, whose processes are not visible here, counts as abandoned.
_FOREIGN_S = 3600.0

_LONGEST_NAME = 200


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that readers see either the old contents or the complete new ones.

    If it fails, the old file is untouched and the temporary one is removed. A killed process leaves `.deeplens-*.part`
    behind, which `remove_leftovers` deletes.

    Args:
        path: destination. Symbolic links are followed; a replaced file keeps its permission bits.
        write: called with the open binary file; whatever it raises passes through.

    Raises:
        OSError: the operating system refuses, or `path` is a folder, a device or a pipe. One sentence, with the `errno` of
            its cause.
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
        raise _described(path, error) from error


def remove_leftovers(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Delete the temporary files of killed processes in these folders, not in their subfolders.

    A file stays while its process runs, or, if it belongs to another machine, until it is an hour old.

    Args:
        folders: those that do not exist or cannot be read are ignored.

    Returns:
        The deleted files.
    """
    removed = []
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            for entry in os.scandir(folder):
                if (name := _NAME.fullmatch(entry.name)) and _is_abandoned(entry, *name.groups()):
                    with suppress(FileNotFoundError):  # another run deleted it first
                        os.unlink(entry.path)
                        removed.append(Path(entry.path))
    return removed


def _is_abandoned(entry: os.DirEntry[str], host: str | None, process: str | None) -> bool:
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
    """The destination, with links followed."""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise OSError(errno.EINVAL, "its name cannot be written in the file system's encoding") from error
    if b"\0" in name:
        raise OSError(errno.EINVAL, "its name holds a NUL character")
    return Path(os.fsdecode(os.path.realpath(path)))


def _mode_of(target: Path) -> int | None:
    """Permission bits of the file to be replaced; None if there is none."""
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
    """Make the move itself durable, on systems that can; the file is complete either way."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _described(path: str | os.PathLike[str], error: OSError) -> OSError:
    """An error of the same type whose message names the file, the folder, the cause and a remedy."""
    folder, name = os.path.split(os.fsdecode(path))
    into = f" into {_shown(folder)}" if folder else ""
    reason = error.strerror or type(error).__name__
    advice = "check the path, its permissions and the free space, or choose another place"
    described = type(error)(f"cannot write {_shown(name)}{into}: {reason}; {advice}")
    described.errno = error.errno
    return described


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…")
