"""Which photos to do and where they go: decided before anything is done."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from deeplens_dof.batch.storage import place
from deeplens_dof.photo.codecs.formats import PICTURE_SUFFIXES, written_as
from deeplens_dof.runtime.errors import PlanError

PICTURES = PICTURE_SUFFIXES


@dataclass(frozen=True, slots=True)
class Input:
    """A photo or a folder of photos that was asked for.

    name: its path below the results' folder; None is its own name for a photo, and nothing for a folder. problem: why
    there is none.
    """

    path: Path
    name: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One photo. name: its path below the results' folder, with "/", which stays the same from run to run. problem: why
    it cannot be done, known before it is opened.
    """

    source: Path
    out: Path
    name: str
    depth_out: Path | None = None
    overlay: Path | None = None
    problem: str | None = None

    @property
    def outputs(self) -> list[Path]:
        """Every file that the job writes; none when it cannot be done."""
        return [] if self.problem else [each for each in (self.out, self.depth_out, self.overlay) if each]


@dataclass(frozen=True, slots=True)
class Plan:
    """jobs: in order. folder: of the results, or None when they lie beside their photos or are one named file.
    several: whether it is a batch, rather than one photo.
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
) -> Plan:
    """The jobs for these inputs. Folders are walked and mirrored below `out`; other files are left.

    out: a folder when there are several photos, when it is one already, or when it ends in a slash.
    also_read: names of other files that are not to be overwritten, where they exist. Raises PlanError when
    outputs are missing or would be written over each other or over what is read.
    """
    several = len(inputs) != 1 or inputs[0].name is not None or os.path.isdir(inputs[0].path)
    if several and (depth_out or overlay):
        raise PlanError(
            "--depth-out and --overlay name one file, so they go with one photo; give a single INPUT"
        )
    if several and out and os.path.exists(out) and not os.path.isdir(out):
        raise PlanError(f"{out!r} is a file, expected a folder for several photos; name a folder with -o")
    into_folder = bool(out) and (several or os.path.isdir(out or "") or (out or "").endswith(("/", os.sep)))
    jobs: list[Job] = []
    for each in inputs:
        source, name = each.path, each.name or each.path.name
        if each.problem or not os.path.isdir(source):
            target = _target(source, name, out, into_folder)
            jobs.append(Job(source, target, name, depth_out, overlay, each.problem))
        elif out:
            jobs += _folder(source, place(out), each.name)
        else:
            raise PlanError(f"{str(source)!r} is a folder; name a folder for the results with -o")
    refuse_clashes(jobs, [name for name in (depth, *also_read) if os.path.isfile(name)])
    return Plan(jobs, place(out) if out and into_folder else None, several)


def share(jobs: Sequence[Job], shard: tuple[int, int] | None) -> list[Job]:
    """The jobs of shard I of N (1..N): by the hash of their names, so that each job stays in its shard."""
    if shard is None:
        return list(jobs)
    number, count = shard

    def home(job: Job) -> int:
        digest = hashlib.sha256(job.name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % count + 1

    return [job for job in jobs if home(job) == number]


def parse_shard(text: str) -> tuple[int, int]:
    """ "I/N" to (I, N). Raises PlanError for anything else."""
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise PlanError(f"--shard is {text!r}, expected I/N with I from 1 to N, such as 2/8")


def _folder(folder: Path, out: Path, below: str | None) -> list[Job]:
    """The photos below a folder, in order; a subfolder that cannot be read is a job with a problem."""
    jobs: list[Job] = []
    top = PurePath(below or "")

    def unreadable(error: OSError) -> None:
        where = Path(error.filename or folder)
        problem = f"{where} cannot be read ({error.strerror}); check its permissions"
        jobs.append(Job(where, out, (top / where.relative_to(folder)).as_posix(), problem=problem))

    skip = os.path.realpath(out)
    for root, folders, names in os.walk(folder, onerror=unreadable):
        here = Path(root)
        folders[:] = sorted(name for name in folders if os.path.realpath(here / name) != skip)
        pictures = sorted(name for name in names if is_picture(name))
        for name in pictures:
            place = top / (here / name).relative_to(folder)
            jobs.append(Job(here / name, _mirrored(out, place), place.as_posix()))
    if not jobs:
        endings = ", ".join(PICTURES)
        problem = f"{folder} holds no photos, expected files ending in {endings}"
        return [Job(folder, out, top.as_posix(), problem=problem)]
    return jobs


def is_picture(name: str) -> bool:
    """Whether a file found in a folder is taken for a photo: by its ending; hidden ones are not."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def _target(source: Path, name: str, out: str | None, into_folder: bool) -> Path:
    if not out:
        return source.with_name(f"{source.stem}-bokeh{written_as(source.suffix)}")
    return _mirrored(place(out), PurePath(name)) if into_folder else place(out)


def _mirrored(out: Path, name: PurePath) -> Path:
    """The place below `out` of the photo of that name, which may have folders in front. A RAW becomes a TIFF that has its
    whole name in front, as many keep the developed x.tif beside x.dng.
    """
    written = written_as(name.suffix)
    return out / name if written == name.suffix else out / name.with_name(name.name + written)


def refuse_clashes(jobs: list[Job], also_read: Sequence[str]) -> None:
    folders: dict[str, str] = {}
    sources = {same_place(job.source, folders) for job in jobs} | {same_place(path) for path in also_read}
    taken: dict[str, Path] = {}
    for job in jobs:
        for output in job.outputs:
            place = same_place(output, folders)
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


def same_place(path: str | os.PathLike[str], folders: dict[str, str] | None = None) -> str:
    """The path with its links followed; as it is when it is none that the file system takes. folders: those whose links
    have been followed, for many files of few folders.
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
