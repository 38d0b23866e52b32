"""Plans a batch: which photos to process and where their results go, decided before any work starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from deeplens_dof.batch import depths
from deeplens_dof.batch.storage import as_path
from deeplens_dof.photo.codecs.formats import PICTURE_SUFFIXES, written_as
from deeplens_dof.runtime.errors import PlanError

PICTURES = PICTURE_SUFFIXES
# Folders that systems and network drives keep beside photos: previews, and files thrown away.
_HIDDEN_FOLDERS = frozenset(
    ("@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found", "__macosx")
)


@dataclass(frozen=True, slots=True)
class Input:
    """A photo, or a folder of photos.

    Attributes:
        path: local or remote.
        name: of the results, relative to the output folder; None uses the photo's own name, or a folder's contents.
        problem: why it cannot be processed, if that is known already; a sentence.
    """

    path: Path
    name: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to process, and the files to write.

    Attributes:
        source: the photo.
        out: the result.
        name: path of the result relative to the output folder, with "/"; it identifies the job from run to run.
        depth_out: a depth file to write as well.
        overlay: an overlay of the areas in focus to write as well.
        problem: why it cannot be processed, if that is known already; a sentence.
        depth: a depth file of its own, in place of the run's depth source.
    """

    source: Path
    out: Path
    name: str
    depth_out: Path | None = None
    overlay: Path | None = None
    problem: str | None = None
    depth: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """All files the job writes; none if it has a problem."""
        return [] if self.problem else [path for path in (self.out, self.depth_out, self.overlay) if path]


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a run.

    Attributes:
        jobs: in order.
        folder: output folder; None if results lie beside their photos, or in one named file.
        several: whether this is a batch rather than one photo.
    """

    jobs: list[Job]
    folder: Path | None
    several: bool


def plan(
    inputs: Sequence[Input],
    out: str | None,
    depth: str = "auto",
    depth_out: Path | None = None,
    overlay: Path | None = None,
    also_read: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Plan:
    """The jobs for these inputs. Folders are walked and their tree is mirrored below `out`; only photos count.

    Args:
        inputs: photos and folders.
        out: a folder if there are several photos, if it exists as one, or if it ends in a slash; otherwise a file. None
            writes each result beside its photo.
        depth: a depth source as `analyse` takes it, or a folder with a depth file for each photo; files that are read are
            protected from being overwritten.
        depth_out: a depth file to write as well, or a folder for those of several photos.
        overlay: a further file to write, for a single photo only.
        also_read: other files that must not be overwritten, where they exist.
        exclude: patterns of names and folders to pass over in folders; hidden ones always are.

    Raises:
        PlanError: outputs are missing, clash with each other, or would overwrite a file that is read.
    """
    several = len(inputs) != 1 or inputs[0].name is not None or os.path.isdir(inputs[0].path)
    if several and overlay:
        raise PlanError("--overlay names one file, so it goes with one photo; give a single INPUT")
    depth_folder = depth_out if depth_out and depths.is_depth_folder(depth_out, several) else None
    if several and depth_out and not depth_folder:
        raise PlanError("--depth-out names one file, so it goes with one photo; name a folder for several")
    if several and out and os.path.exists(out) and not os.path.isdir(out):
        raise PlanError(f"{out!r} is a file, expected a folder for several photos; name a folder with -o")
    into_folder = bool(out) and (several or os.path.isdir(out or "") or (out or "").endswith(("/", os.sep)))
    jobs: list[Job] = []
    for item in inputs if out else _without_results(inputs):
        source, name = item.path, item.name or item.path.name
        if item.problem or not os.path.isdir(source):
            target = _target(source, name, out, into_folder)
            jobs.append(Job(source, target, name, depth_out, overlay, item.problem))
        elif out:
            jobs += _folder(source, as_path(out), item.name, exclude)
        else:
            raise PlanError(f"{str(source)!r} is a folder; name a folder for the results with -o")
    if depth_folder:
        outs = depths.depth_outs_in(depth_folder, [job.name for job in jobs])
        jobs = [replace(job, depth_out=out) for job, out in zip(jobs, outs, strict=True)]
    if depth not in depths.FROM_PHOTOS and os.path.isdir(depth):
        photos = {job.source for job in jobs}
        jobs = [_with_depth(job, Path(depth), photos) for job in jobs]
    own = [str(job.depth) for job in jobs if job.depth]
    refuse_clashes(jobs, [name for name in (depth, *also_read, *own) if os.path.isfile(name)])
    return Plan(jobs, as_path(out) if out and into_folder else None, several)


def _with_depth(job: Job, folder: Path, photos: set[Path]) -> Job:
    """The job with its depth file in a folder, or with the problem that there is none."""
    if job.problem:
        return job
    try:
        return replace(job, depth=depths.depth_file_in(folder, job.name, photos))
    except ValueError as problem:
        return replace(job, problem=f"{job.source} cannot be processed: {problem}")


def _without_results(inputs: Sequence[Input]) -> list[Input]:
    """The inputs without results of an earlier run that lie beside the photos they were made of, as in *.jpg."""
    made = {_target(item.path, item.path.name, None, False) for item in inputs}
    return [item for item in inputs if len(inputs) == 1 or item.path not in made]


def share(jobs: Sequence[Job], shard: tuple[int, int] | None) -> list[Job]:
    """The jobs of shard I of N. A hash of its name assigns each job, so that it stays in its shard from run to run.

    Args:
        shard: (I, N), with I from 1 to N; None returns all jobs.
    """
    if shard is None:
        return list(jobs)
    number, count = shard

    def shard_of(job: Job) -> int:
        digest = hashlib.sha256(job.name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % count + 1

    return [job for job in jobs if shard_of(job) == number]


def parse_shard(text: str) -> tuple[int, int]:
    """Parse "I/N" to (I, N). Raises PlanError for anything else."""
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise PlanError(f"--shard is {text!r}, expected I/N with I from 1 to N, such as 2/8")


def is_picture(name: str) -> bool:
    """Whether a file found in a folder counts as a photo: by its extension; hidden files do not."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def is_left_out(parts: Sequence[str], exclude: Sequence[str] = ()) -> bool:
    """Whether a file or folder below a folder of photos is passed over: within a hidden folder, or by a pattern.

    Args:
        parts: its path relative to that folder; the last may be a file.
        exclude: patterns of names, or of paths where they hold a slash, as of a shell.
    """
    if any(part.startswith(".") or part.lower() in _HIDDEN_FOLDERS for part in parts[:-1]):
        return True
    path = "/".join(parts)
    return any(
        fnmatchcase(path, pattern.strip("/"))
        if "/" in pattern.strip("/")
        else any(fnmatchcase(part, pattern.strip("/")) for part in parts)
        for pattern in exclude
    )


def refuse_clashes(jobs: list[Job], also_read: Sequence[str]) -> None:
    """Raise PlanError if two outputs are the same file, or if an output is a file that is read."""
    folders: dict[str, str] = {}
    sources = {resolve(job.source, folders) for job in jobs} | {resolve(path) for path in also_read}
    writers: dict[str, Path] = {}
    for job in jobs:
        for output in job.outputs:
            file = resolve(output, folders)
            if file in sources:
                raise PlanError(
                    f"{str(output)!r} is read too and would be overwritten; choose another name for the result"
                )
            if file in writers:
                first = writers[file]
                both = "" if first == job.source else f" from {str(first)!r} and {str(job.source)!r}"
                raise PlanError(
                    f"{str(output)!r} would be written twice{both}; give each result a name of its own"
                )
            writers[file] = job.source


def resolve(path: str | os.PathLike[str], folders: dict[str, str] | None = None) -> str:
    """The absolute path with links followed; a path the file system rejects is only made absolute.

    Args:
        folders: cache of resolved folders, for many files in few folders.
    """
    folder, name = os.path.split(path)
    try:
        if folders is not None and name and name != ".." and not os.path.islink(path):
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            return os.path.join(folders[folder], name)
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.path.abspath(path)


def _folder(folder: Path, out: Path, below: str | None, exclude: Sequence[str]) -> list[Job]:
    """The photos below a folder, sorted; an unreadable subfolder becomes a job with a problem."""
    jobs: list[Job] = []
    top = PurePath(below or "")

    def unreadable(error: OSError) -> None:
        path = Path(error.filename or folder)
        problem = f"{path} cannot be read ({error.strerror}); check its permissions"
        jobs.append(Job(path, out, (top / path.relative_to(folder)).as_posix(), problem=problem))

    skip = os.path.realpath(out)
    for root, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(root)
        inside = here.relative_to(folder).parts
        folders[:] = sorted(
            name
            for name in folders
            if os.path.realpath(here / name) != skip and not is_left_out((*inside, name, ""), exclude)
        )
        for name in sorted(name for name in names if is_picture(name)):
            if is_left_out((*inside, name), exclude):
                continue
            relative = top / (here / name).relative_to(folder)
            jobs.append(Job(here / name, _mirrored(out, relative), relative.as_posix()))
    if not jobs:
        problem = f"{folder} holds no photos, expected files ending in {', '.join(PICTURES)}"
        return [Job(folder, out, top.as_posix(), problem=problem)]
    return jobs


def _target(source: Path, name: str, out: str | None, into_folder: bool) -> Path:
    if not out:
        return source.with_name(f"{source.stem}-bokeh{written_as(source.suffix)}")
    return _mirrored(as_path(out), PurePath(name)) if into_folder else as_path(out)


def _mirrored(out: Path, name: PurePath) -> Path:
    """The output path of the photo `name` (which may include folders) below `out`.

    A camera RAW x.dng becomes x.dng.tif rather than x.tif, because a developed x.tif often lies beside it.
    """
    suffix = written_as(name.suffix)
    return out / name if suffix == name.suffix else out / name.with_name(name.name + suffix)
