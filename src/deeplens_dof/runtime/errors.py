"""An error as one sentence for the person who asked: what came, what was expected, what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sentence(name: str, error: Exception) -> str:
    """What went wrong with `name`, on one line, with the name in it."""
    name = shown(name)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{name}: there is not enough memory for it; make the picture smaller or close other programs"
    if isinstance(error, (ValueError, OSError)) and text:
        return text if Path(name).name in text else f"{name}: {text}"
    kind = type(error).__name__
    return f"{name}: an error inside deeplens ({kind}: {text}); run it again with --debug and report it"


_LONGEST_NAME = 200


def shown(source: object) -> str:
    """The name of a source as it may stand in a message: printable, on one line, at most 200 characters."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the picture"
    text = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else str(source)
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def reason(problem: OSError) -> str:
    """Why the operating system refused, and what to do about it: the end of a sentence."""
    advice = _ADVICE.get(problem.errno or 0)
    return advice or f"{problem.strerror or type(problem).__name__}; check the path and the disk"


_FULL = "the disk is full; free some space and try again"
_LOCKED = "permission is denied; change the permissions or choose another place"
_ADVICE = {
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOTDIR: "a part of the path is not a folder; check the path",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENAMETOOLONG: "the name is too long for this file system; shorten it",
    errno.ELOOP: "its symbolic links go round in a circle; check the path",
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}


class PlanError(Exception):
    """The inputs and outputs that were named do not go together."""
