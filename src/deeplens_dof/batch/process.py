"""Processes one photo from file to file: a job and the options of the run go in, a record of the outcome comes out."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from deeplens_dof import __version__
from deeplens_dof.batch.depths import FROM_PHOTOS
from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.outputs import check_outputs
from deeplens_dof.batch.storage import download, is_remote, upload
from deeplens_dof.runtime.errors import describe_error
from deeplens_dof.settings import Settings
from deeplens_dof.warmup import first_use

if TYPE_CHECKING:
    from deeplens_dof.optics.inverse_depth import InverseDepth
    from deeplens_dof.photo import Photo
    from deeplens_dof.pipeline import Result

OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The options that all photos of a run share.

    Attributes:
        settings: focus and lens.
        depth: a depth source as `analyse` takes it; a depth file by its name; a folder for depth files of the jobs' own.
        far_is_bright: what depth files hold, as `read_depth_file` takes it.
        strip_metadata: leave EXIF and XMP out of the results.
        embed_depth: put depth and the original photo into the JPEG, as `Result.save` does.
        f_number_as_shot: prefer the f-number that a phone simulated (`pipeline.as_shot`).
        allow_truncated: read JPEG files that end too early, as `read` does.
        quality: of the result, 1..100, as `Result.save` takes it.
        keep_time: give the result the modification time of its photo.
    """

    settings: Settings
    depth: str = "auto"
    strip_metadata: bool = False
    embed_depth: bool = False
    f_number_as_shot: bool = False
    allow_truncated: bool = False
    quality: int | None = None
    keep_time: bool = False
    far_is_bright: bool | None = None

    def sha256(self) -> str:
        """A hash of everything but the photo that determines a result.

        It covers the settings, the depth source, the contents of files these name, the version of DeepLens, its weights
        and the inference runtime.

        Raises:
            ValueError: DEEPLENS_RUNTIME names a runtime that is not installed.
        """
        from deeplens_dof.models import list_models, runtime

        files = {"depth": _sha256(Path(self.depth))}
        if self.settings.shape_file:
            files["shape"] = _sha256(self.settings.shape_file)
        facts = {
            "settings": self.settings.as_dict(),
            "depth": self.depth,
            "strip_metadata": self.strip_metadata,
            "embed_depth": self.embed_depth,
            "f_number_as_shot": self.f_number_as_shot,
            "allow_truncated": self.allow_truncated,
            "quality": self.quality,
            "keep_time": self.keep_time,
            "far_is_bright": self.far_is_bright,
            "files": files,
            "version": __version__,
            "weights": {name: model.sha256 for name, model in list_models().items()},
            "runtime": runtime(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def process_photo(job: Job, options: JobOptions, on_progress: OnProgress = lambda _: None) -> Record:
    """Blur one photo, from file to file. Never raises: a failure is reported in the record.

    Args:
        job: the photo and its outputs, local or remote.
        options: of the run.
        on_progress: receives the name of each step as it begins.
    """
    if any(is_remote(path) for path in (job.source, *job.outputs)):
        return _process_remote(job, options, on_progress)
    return _process_local(job, options, on_progress)


def failed(job: Job, error: Exception, seconds: float = 0.0, input_sha256: str | None = None) -> Record:
    """The record of a job that failed with this error."""
    full = any(getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for cause in _causes(error))
    return _record(
        job,
        "failed",
        error=describe_error(str(job.source), error),
        seconds=round(seconds, 2),
        input_sha256=input_sha256,
        full_disk=full,
        traceback="".join(traceback.format_exception(error)),
    )


def skipped(job: Job) -> Record:
    """The record of a job that an earlier run has completed."""
    return _record(job, "skipped")


def _process_local(job: Job, options: JobOptions, on_progress: OnProgress) -> Record:
    started = time.monotonic()
    facts: dict[str, Any] = {}
    try:
        version = _version(job.source)
        facts["input_sha256"] = _sha256(job.source)
        facts["depth_sha256"] = _sha256(job.depth) if job.depth else None
        used, facts["notes"] = _blur_file(job, options, version, on_progress)
        if used.f_number != options.settings.f_number:
            facts["f_number"] = used.f_number
        facts["outputs"] = tuple(Output.of(path) for path in job.outputs)
    except Exception as error:
        return failed(job, error, time.monotonic() - started, facts.get("input_sha256"))
    return _record(job, "done", seconds=round(time.monotonic() - started, 2), **facts)


def _process_remote(job: Job, options: JobOptions, on_progress: OnProgress) -> Record:
    """Download the photo, process it here, and upload the results once all are complete, the photo last."""
    with TemporaryDirectory(prefix="deeplens-") as folder:
        local = _staged(job, Path(folder))
        try:
            if local.source != job.source:
                on_progress("downloading")
                download(job.source, local.source)
            record = _process_local(local, options, on_progress)
            if record.state == "done":
                on_progress("uploading")
                for output, target in reversed(list(zip(local.outputs, job.outputs, strict=True))):
                    if output != target:
                        upload(output, target)
        except Exception as error:  # storage packages raise errors of their own types
            return failed(job, error)
    return _with_paths_of(job, record, local)


def _staged(job: Job, folder: Path) -> Job:
    """The job with a path below `folder` in place of each remote one."""

    def stage(path: Path, name: str) -> Path:
        if not is_remote(path):
            return path
        (folder / name).mkdir()
        return folder / name / path.name

    return replace(
        job,
        source=stage(job.source, "in"),
        out=stage(job.out, "out"),
        depth_out=job.depth_out and stage(job.depth_out, "depth"),
        overlay=job.overlay and stage(job.overlay, "overlay"),
    )


def _with_paths_of(job: Job, record: Record, local: Job) -> Record:
    """The record of the staged job, with the paths the user gave."""
    outputs = tuple(
        replace(output, path=str(path)) for output, path in zip(record.outputs, job.outputs, strict=False)
    )
    error = record.error
    for staged, given in ((local.source, job.source), (local.out, job.out)):
        error = error and error.replace(str(staged), str(given))
    return replace(record, input=str(job.source), output=str(job.out), outputs=outputs, error=error)


def _blur_file(
    job: Job, options: JobOptions, version: tuple[int, ...] | None, on_progress: OnProgress
) -> tuple[Settings, tuple[str, ...]]:
    """Blur the photo and write all outputs. Nothing is written until everything is computed.

    Returns:
        The settings that were used, those of the options, perhaps with the f-number as shot; and sentences about what was
        mended in the photo.

    Raises:
        PhotoError, ValueError, OSError: one sentence.
    """
    from deeplens_dof.photo import check_embedding, read

    on_progress("reading")
    photo = read(job.source, allow_truncated=options.allow_truncated)
    if version is None or version != _version(job.source):
        raise ValueError(
            f"{job.source} was changed while it was read; try again when it is no longer written to"
        )
    check_outputs(job)
    if options.embed_depth:
        check_embedding(job.out, options.strip_metadata)
    from deeplens_dof.pipeline import analyse, as_shot, refocus

    settings = as_shot(photo, options.settings) if options.f_number_as_shot else options.settings
    first = "compiling the inner loops (once), then " if first_use() else ""
    on_progress(f"{first}depth")
    scene = analyse(photo, depth_source(job.depth or options.depth, options.far_is_bright))
    on_progress(f"{first}blur")
    result = refocus(scene, settings)
    on_progress("writing")
    _write_outputs(job, options, photo, result)
    return settings, (*photo.notes, *photo.lost_in(job.out))


def depth_source(depth: str | Path, far_is_bright: bool | None) -> str | InverseDepth:
    """A depth source as `analyse` takes it; a file is read here where it is not to be taken as such files mostly are.

    Raises ValueError or OSError when that file cannot be used.
    """
    if far_is_bright is None or str(depth) in FROM_PHOTOS:
        return str(depth)
    from deeplens_dof.depth.files import read_depth_file

    return read_depth_file(depth, far_is_bright=far_is_bright)


def _write_outputs(job: Job, options: JobOptions, photo: Photo, result: Result) -> None:
    """Write the depth file, the overlay and the result, in this order: where the result exists, so does the rest."""
    from deeplens_dof.depth.files import POINTS, write_depth_file
    from deeplens_dof.photo import Photo

    depth, settings = result.scene.inverse_depth, result.settings
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    if job.depth_out:
        rgb = photo.srgb8() if job.depth_out.suffix.lower() == POINTS else None
        write_depth_file(job.depth_out, depth, settings.nearest_m, rgb, settings.lens_mm)
    if job.overlay:
        Photo(result.overlay()).save(job.overlay)
    result.save(
        job.out,
        strip_metadata=options.strip_metadata,
        embed_depth=options.embed_depth,
        quality=options.quality,
    )
    if options.keep_time:
        keep_time(job.source, job.out)


def keep_time(source: Path, result: Path) -> None:
    """Gives a result the modification time of its photo. Raises OSError."""
    os.utime(result, ns=(os.stat(result).st_atime_ns, os.stat(source).st_mtime_ns))


def _record(job: Job, state: Literal["done", "failed", "skipped"], **facts: Any) -> Record:
    return Record(job.name, str(job.source), str(job.out), state, **facts)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _version(path: Path) -> tuple[int, ...] | None:
    """Device, inode, size and time of a file, which change when it is written; None if it does not exist."""
    with suppress(OSError, ValueError):
        facts = os.stat(path)
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
    return None


def _sha256(path: Path) -> str | None:
    """SHA-256 of a regular file; None for anything else, or if it cannot be read (reading it reports why)."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.stat(path).st_mode):
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None
