"""What went wrong with a picture file, as one sentence that starts with the picture's name."""

from __future__ import annotations

import errno
import os

_LONGEST_NAME = 200


class PhotoError(ValueError):
    """A picture could not be read or written. The message is one sentence that starts with its name."""


class TooLargeError(PhotoError):
    """A file or picture is larger than is allowed."""


class UnknownFormatError(PhotoError):
    """The bytes are those of no picture format that is read."""


class BoxError(PhotoError):
    """The boxes of an ISO media file are damaged, or more than are walked."""


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
