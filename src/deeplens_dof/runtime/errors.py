"""Errors as one-sentence messages for the user."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def describe_error(name: str, error: Exception) -> str:
    """The error message for `name`, as one line that contains the name.

    Args:
        name: the input that failed, such as a path.
        error: messages of ValueError and OSError are shown as they are; any other type is reported as a bug in DeepLens.
    """
    name = shown(name)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{name}: there is not enough memory; use a smaller picture or close other programs"
    if isinstance(error, (ValueError, OSError)) and text:
        return text if Path(name).name in text else f"{name}: {text}"
    kind = type(error).__name__
    return f"{name}: an error inside deeplens ({kind}: {text}); run it again with --debug and report it"


def install_extra(name: str) -> str:
    """The command that installs an extra, from an index and in a checkout, as the end of a sentence."""
    return f"pip install 'deeplens-dof[{name}]', or pip install '.[{name}]' in a checkout"


_LONGEST_NAME = 200


def shown(source: object) -> str:
    """The name of a source for a message: printable, on one line, at most 200 characters."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the picture"
    text = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else str(source)
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def reason(problem: OSError) -> str:
    """The cause of an OSError and its remedy, as the end of a sentence."""
    advice = _ADVICE.get(problem.errno or 0)
    return advice or f"{problem.strerror or type(problem).__name__}; check the path and the disk"


_FULL = "the disk is full; free some space and try again"
_LOCKED = "permission is denied; change the permissions or choose another place"
_ADVICE = {
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOTDIR: "a part of the path is not a folder; check the path",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENAMETOOLONG: "the name is too long for this file system; shorten it",
    errno.ELOOP: "its symbolic links form a loop; check the path",
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}


class PlanError(Exception):
    """The command was used wrongly: inputs, outputs or options do not fit together. The message is one sentence."""
