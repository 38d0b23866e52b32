"""Checks that the outputs of a job can be written, before the work starts."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from deeplens_dof.batch.jobs import Job


def check_outputs(job: Job) -> None:
    """Raise PhotoError or ValueError if an output of the job has an unknown format or cannot be written."""
    from deeplens_dof.depth.files import EXPORTED
    from deeplens_dof.photo.codecs.formats import by_suffix
    from deeplens_dof.photo.codecs.heif import pillow_heif

    for output in job.outputs:
        _check_writable(output)
    for picture in (job.out, job.overlay):
        if picture and by_suffix(picture).name == "HEIF":
            pillow_heif(str(picture))
    if job.depth_out and job.depth_out.suffix.lower() not in EXPORTED:
        raise ValueError(
            f"{job.depth_out} cannot be written as depth, expected a name ending in {', '.join(EXPORTED)}"
        )


def _check_writable(path: Path) -> None:
    """Raise PhotoError if `path` is not a regular file, or if its folder is not writable."""
    from deeplens_dof.photo.errors import PhotoError
    from deeplens_dof.runtime.errors import reason, shown

    try:
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "")
        if not stat.S_ISREG(mode):
            raise PhotoError(f"{shown(path)} cannot be written: it is a device or a pipe; name a file")
        folder = next(parent for parent in Path(os.path.abspath(path)).parents if os.path.exists(parent))
        if not os.path.isdir(folder):
            raise NotADirectoryError(errno.ENOTDIR, "")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "")
    except OSError as problem:
        raise PhotoError(f"{shown(path)} cannot be written: {reason(problem)}") from problem
    except ValueError as problem:
        if isinstance(problem, PhotoError):
            raise
        raise PhotoError(
            f"{shown(path)} cannot be written: the name holds a NUL character; rename it"
        ) from problem
