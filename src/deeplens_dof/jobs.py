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

from .photo.formats import PICTURE_SUFFIXES, written_as
from .settings import Settings

PICTURES = PICTURE_SUFFIXES


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
        jobs += [Job(here / name, _mirrored(out, (here / name).relative_to(folder))) for name in pictures]
    if not jobs:
        endings = ", ".join(PICTURES)
        return [Job(folder, out, problem=f"{folder} holds no photos, expected files ending in {endings}")]
    return jobs


def _target(source: Path, out: str | None, into_folder: bool) -> Path:
    if not out:
        return source.with_name(f"{source.stem}-bokeh{written_as(source.suffix)}")
    return _mirrored(Path(out), Path(source.name)) if into_folder else Path(out)


def _mirrored(out: Path, name: Path) -> Path:
    """The place below `out` of the photo of that name, which may have folders in front. A RAW becomes a TIFF that has its
    whole name in front, as many keep the developed x.tif beside x.dng.
    """
    written = written_as(name.suffix)
    return out / name if written == name.suffix else out / name.with_name(name.name + written)


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
    jobs: list[Job],
    settings: Settings,
    depth: str,
    strip_metadata: bool,
    reporter: Reporter,
    f_number_as_shot: bool = False,
    embed_depth: bool = False,
) -> list[dict[str, Any]]:
    """Does every job; returns one entry each: input, output, seconds, error (a sentence or None).

    f_number_as_shot: that of `pipeline.as_shot` counts; the entry then has it, where it is another than the settings'.
    """
    report = []
    for number, job in enumerate(jobs, 1):
        started = time.monotonic()
        prefix = f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""

        f_numbers: list[float] = []

        def work(job: Job = job, prefix: str = prefix, f_numbers: list[float] = f_numbers) -> None:
            if job.problem:
                raise ValueError(job.problem)
            used = do(
                job,
                settings,
                depth,
                strip_metadata,
                lambda text: reporter.stage(f"{prefix}{job.source.name}: {text}"),
                f_number_as_shot,
                embed_depth,
            )
            f_numbers.append(used.f_number)

        error = reporter.guard(str(job.source), work)
        seconds = round(time.monotonic() - started, 2)
        if error is None:
            reporter.done(f"{prefix}{job.out} ({seconds:.1f} s)")
        output = None if error else str(job.out)
        report.append({"input": str(job.source), "output": output, "seconds": seconds, "error": error})
        if f_numbers and f_numbers[0] != settings.f_number:
            report[-1]["f_number"] = f_numbers[0]
    return report


def do(
    job: Job,
    settings: Settings,
    depth: str,
    strip_metadata: bool,
    stage: Callable[[str], None] = lambda _: None,
    f_number_as_shot: bool = False,
    embed_depth: bool = False,
) -> Settings:
    """One photo from file to file; nothing is written before all is computed, the photo itself last.

    embed_depth: as `Result.save` takes it. Returns the settings used: those given, or with the f-number of
    `pipeline.as_shot`. Raises PhotoError, ValueError or OSError.
    """
    from .depth.files import POINTS, write_depth_file
    from .photo import Photo, check_embedding, read

    stage("reading")
    photo = read(job.source)
    _check_outputs(job)
    if embed_depth:
        check_embedding(job.out, strip_metadata)
    from .pipeline import analyse, as_shot, refocus

    settings = as_shot(photo, settings) if f_number_as_shot else settings
    once = "compiling the inner loops (once), then " if _first_use() else ""
    stage(f"{once}depth")
    scene = analyse(photo, depth)
    stage(f"{once}blur")
    result = refocus(scene, settings)
    stage("writing")
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    if job.depth_out:
        rgb = photo.srgb8() if job.depth_out.suffix.lower() == POINTS else None
        write_depth_file(job.depth_out, scene.inverse_depth, settings.nearest_m, rgb, settings.lens_mm)
    if job.overlay:
        Photo(result.overlay()).save(job.overlay)
    result.save(job.out, strip_metadata=strip_metadata, embed_depth=embed_depth)
    return settings


def write_depth(
    source: Path, out: str, settings: Settings | None = None, picture: Path | None = None
) -> Path:
    """Predicted depth of a photo into a depth file; returns its path.

    out: a file, or a folder, in which it is named after the photo. settings: whose nearest_m and lens_mm place it in
    metres, where the file holds them. picture: where depth in colours goes, to be looked at. Raises PlanError when one of
    them is the photo or the other, PhotoError, ValueError or OSError when something goes wrong.
    """
    from .depth.colors import coloured
    from .depth.files import write_depth_file
    from .depth.predict import predict_depth
    from .photo import Photo, read, untouched

    into_folder = os.path.isdir(out) or out.endswith(("/", os.sep))
    target = Path(out) / f"{source.stem}-depth.png" if into_folder else Path(out)
    if _real(target) == _real(source):
        raise PlanError(f"{out!r} is the photo itself and would be overwritten; name another place with -o")
    settings = settings or Settings()
    job = Job(source, target.with_suffix(".png"), depth_out=target, overlay=picture)
    _refuse_clashes([Job(source, target, overlay=picture)], [])
    photo = untouched(read(source))
    _check_outputs(job)
    rgb = photo.srgb8()
    depth = predict_depth(rgb)
    for output in (target, picture):
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
    write_depth_file(target, depth, settings.nearest_m, rgb, settings.lens_mm)
    if picture:
        Photo(coloured(depth)).save(picture)
    return target


def _check_outputs(job: Job) -> None:
    """Fails before the work is done rather than after it. Raises PhotoError or ValueError."""
    from .depth.files import EXPORTED
    from .photo.formats import by_suffix
    from .photo.heif import pillow_heif

    for output in job.outputs:
        _check_place(output)
    for picture in (job.out, job.overlay):
        if picture and by_suffix(picture).name == "HEIF":
            pillow_heif(str(picture))
        elif picture:
            by_suffix(picture)
    if job.depth_out and job.depth_out.suffix.lower() not in EXPORTED:
        raise ValueError(
            f"{job.depth_out} cannot be written as depth, expected a name ending in {', '.join(EXPORTED)}"
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
