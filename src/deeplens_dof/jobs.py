"""Which photos to do and where they go, and doing them one by one: one bad file never stops the run."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .settings import Settings

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff")


class PlanError(Exception):
    """The inputs and outputs that were named do not go together."""


class Reporter(Protocol):
    def stage(self, text: str) -> None: ...
    def done(self, text: str) -> None: ...
    def guard(self, name: str, work: Callable[[], Any]) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One photo. problem: why it cannot be done, known before it is opened."""

    source: Path
    out: Path
    depth_out: Path | None = None
    overlay: Path | None = None
    problem: str | None = None

    @property
    def outputs(self) -> list[Path]:
        """Every file that the job writes; none when it cannot be done."""
        return [] if self.problem else [each for each in (self.out, self.depth_out, self.overlay) if each]


def plan(
    inputs: Sequence[Path],
    out: str | None,
    depth: str = "auto",
    depth_out: Path | None = None,
    overlay: Path | None = None,
    also_read: Sequence[str] = (),
) -> list[Job]:
    """The jobs for these inputs. Folders are walked and mirrored below `out`; other files are left.

    out: a folder when there are several photos, when it is one already, or when it ends in a slash.
    also_read: names of other files that are not to be overwritten, where they exist. Raises PlanError when
    outputs are missing or would be written over each other or over what is read.
    """
    several = len(inputs) > 1 or os.path.isdir(inputs[0])
    if several and (depth_out or overlay):
        raise PlanError(
            "--depth-out and --overlay name one file, so they go with one photo; give a single INPUT"
        )
    if several and out and os.path.exists(out) and not os.path.isdir(out):
        raise PlanError(f"{out!r} is a file, expected a folder for several photos; name a folder with -o")
    into_folder = bool(out) and (several or os.path.isdir(out or "") or (out or "").endswith(("/", os.sep)))
    jobs: list[Job] = []
    for source in inputs:
        if not os.path.isdir(source):
            jobs.append(Job(source, _target(source, out, into_folder), depth_out, overlay))
        elif out:
            jobs += _folder(source, Path(out))
        else:
            raise PlanError(f"{str(source)!r} is a folder; name a folder for the results with -o")
    _refuse_clashes(jobs, [name for name in (depth, *also_read) if os.path.isfile(name)])
    return jobs


def _folder(folder: Path, out: Path) -> list[Job]:
    """The photos below a folder, in order; a subfolder that cannot be read is a job with a problem."""
    jobs: list[Job] = []

    def unreadable(error: OSError) -> None:
        where = Path(error.filename or folder)
        jobs.append(
            Job(where, out, problem=f"{where} cannot be read ({error.strerror}); check its permissions")
        )

    skip = os.path.realpath(out)
    for root, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(root)
        folders[:] = sorted(name for name in folders if os.path.realpath(here / name) != skip)
        pictures = sorted(
            name for name in names if name.lower().endswith(PICTURES) and not name.startswith(".")
        )
        jobs += [Job(here / name, out / (here / name).relative_to(folder)) for name in pictures]
    if not jobs:
        endings = ", ".join(PICTURES)
        return [Job(folder, out, problem=f"{folder} holds no photos, expected files ending in {endings}")]
    return jobs


def _target(source: Path, out: str | None, into_folder: bool) -> Path:
    if not out:
        return source.with_name(f"{source.stem}-bokeh{source.suffix}")
    return Path(out) / source.name if into_folder else Path(out)


def _refuse_clashes(jobs: list[Job], also_read: Sequence[str]) -> None:
    sources = {_real(job.source) for job in jobs} | {_real(path) for path in also_read}
    taken: dict[str, Path] = {}
    for job in jobs:
        for output in job.outputs:
            place = _real(output)
            if place in sources:
                raise PlanError(
                    f"{str(output)!r} is read too and would be overwritten; name another place for the result"
                )
            if place in taken:
                other = (
                    ""
                    if taken[place] == job.source
                    else f" from {str(taken[place])!r} and {str(job.source)!r}"
                )
                raise PlanError(
                    f"{str(output)!r} would be written twice{other}; give each result its own place"
                )
            taken[place] = job.source


def _real(path: str | os.PathLike[str]) -> str:
    """The path with its links followed; as it is when it is none that the file system takes."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.path.abspath(path)


def check_shape(shape: str) -> None:
    """Reads the picture of an aperture, once for all photos. Raises PlanError when it cannot be used."""
    from .shape import parse_shape

    if parse_shape(shape) is None:
        from .pipeline import aperture_of

        try:
            aperture_of(shape)
        except (ValueError, OSError) as error:
            raise PlanError(f"--shape: {error}") from None


def run(
    jobs: list[Job], settings: Settings, depth: str, strip_metadata: bool, reporter: Reporter
) -> list[dict[str, Any]]:
    """Does every job; returns one entry each: input, output, seconds, error (a sentence or None)."""
    report = []
    for number, job in enumerate(jobs, 1):
        started = time.monotonic()
        prefix = f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""

        def work(job: Job = job, prefix: str = prefix) -> None:
            if job.problem:
                raise ValueError(job.problem)
            do(
                job,
                settings,
                depth,
                strip_metadata,
                lambda text: reporter.stage(f"{prefix}{job.source.name}: {text}"),
            )

        error = reporter.guard(str(job.source), work)
        seconds = round(time.monotonic() - started, 2)
        if error is None:
            reporter.done(f"{prefix}{job.out} ({seconds:.1f} s)")
        output = None if error else str(job.out)
        report.append({"input": str(job.source), "output": output, "seconds": seconds, "error": error})
    return report


def do(
    job: Job,
    settings: Settings,
    depth: str,
    strip_metadata: bool,
    stage: Callable[[str], None] = lambda _: None,
) -> None:
    """One photo from file to file; nothing is written before all is computed, the photo itself last.

    Raises PhotoError, ValueError or OSError.
    """
    from .depth.files import write_depth_file
    from .photo import Photo, read

    stage("reading")
    photo = read(job.source)
    check_outputs(job)
    from .pipeline import analyse, refocus

    once = "compiling the inner loops (once), then " if _first_use() else ""
    stage(f"{once}depth")
    scene = analyse(photo, depth)
    stage(f"{once}blur")
    result = refocus(scene, settings)
    stage("writing")
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    if job.depth_out:
        write_depth_file(job.depth_out, scene.inverse_depth, settings.nearest_m)
    if job.overlay:
        Photo(result.overlay()).save(job.overlay)
    result.save(job.out, strip_metadata=strip_metadata)


def write_depth(source: Path, out: str) -> Path:
    """Predicted depth of a photo into a depth file; returns its path.

    out: a file, or a folder, in which it is named after the photo. Raises PlanError when that is the photo,
    PhotoError, ValueError or OSError when something goes wrong.
    """
    from .depth.files import write_depth_file
    from .depth.predict import predict_depth
    from .photo import read

    into_folder = os.path.isdir(out) or out.endswith(("/", os.sep))
    target = Path(out) / f"{source.stem}-depth.png" if into_folder else Path(out)
    if _real(target) == _real(source):
        raise PlanError(f"{out!r} is the photo itself and would be overwritten; name another place with -o")
    photo = read(source)
    check_outputs(Job(source, target.with_suffix(".png"), depth_out=target))
    depth = predict_depth(photo.srgb8())
    target.parent.mkdir(parents=True, exist_ok=True)
    write_depth_file(target, depth)
    return target


def check_outputs(job: Job) -> None:
    """Fails before the work is done rather than after it. Raises PhotoError or ValueError."""
    from .depth.files import WRITTEN
    from .photo.formats import by_suffix

    for output in job.outputs:
        _check_place(output)
    for picture in (job.out, job.overlay):
        if picture:
            by_suffix(picture)
    if job.depth_out and job.depth_out.suffix.lower() not in WRITTEN:
        raise ValueError(
            f"{job.depth_out} cannot be written as depth, expected a name ending in {', '.join(WRITTEN)}"
        )


def _check_place(path: Path) -> None:
    """Raises PhotoError when there is something else than a plain file, or the folder takes no files."""
    from .photo.errors import PhotoError, reason, shown

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


def _first_use() -> bool:
    """Whether numba's index of compiled loops is missing, or older than their source, wherever numba keeps it."""
    code = Path(__file__).parent / "lens_blur"
    caches = [Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")), Path("~/Library/Caches")]
    places = [code / "__pycache__"]
    for folder in (os.environ.get("NUMBA_CACHE_DIR"), *(each.expanduser() / "numba" for each in caches)):
        places += Path(folder).glob(f"{code.name}_*") if folder else []
    indexes = [index for place in places for index in place.glob("*.nbi")]
    sources = {source.stem: source.stat().st_mtime for source in code.glob("*.py")}
    return not any(index.stat().st_mtime >= sources.get(index.name.split(".")[0], 0) for index in indexes)
