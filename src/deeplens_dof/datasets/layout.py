"""Layout of a data folder: its expected content, its actual content, and which files belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deeplens_dof.datasets.sample import DatasetError, Sample, SampleFiles


@dataclass(frozen=True, slots=True)
class FoundSamples:
    """entries: readable samples, in order. problems: a sentence for every file that belongs to none of them."""

    entries: list[SampleFiles] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """One folder layout.

    expected: its content in words, as the end of a sentence. marks: whether a folder looks like it, judged by names alone.
    find: lists the samples. read: reads one. Both may raise DatasetError.
    """

    kind: str
    expected: str
    marks: Callable[[Path], bool]
    find: Callable[[Path], FoundSamples]
    read: Callable[[SampleFiles], Sample]

    def found(self, folder: Path) -> FoundSamples:
        """The samples of a folder. Raises DatasetError with the expected and the actual content."""
        if not folder.is_dir():
            what = "a file" if folder.exists() else "nothing"
            raise DatasetError(f"there is {what} at {folder}, expected a folder of the kind {self.kind}")
        if not self.marks(folder):
            raise DatasetError(
                f"{folder} is not laid out as {self.kind}: expected {self.expected}; found {content_names(folder)}"
            )
        found = self.find(folder)
        if not found.entries:
            first = f"; {found.problems[0]}" if found.problems else ""
            raise DatasetError(
                f"{folder} holds no sample of the kind {self.kind}: expected {self.expected}{first}"
            )
        return found


def content_names(folder: Path, most: int = 6) -> str:
    """The first names in a folder, for a message."""
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in visible(folder.iterdir()))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "nothing"


def visible(paths: Iterator[Path]) -> Iterator[Path]:
    """Paths without hidden files and folders."""
    return (path for path in paths if not path.name.startswith("."))


def below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """All visible files at any depth, in order."""
    for path in sorted(folder.rglob(pattern)):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def any_below(folder: Path, *patterns: str) -> bool:
    """Whether any file at any depth matches one of the patterns."""
    return any(path.is_file() for pattern in patterns for path in folder.rglob(pattern))


@dataclass(frozen=True, slots=True)
class Role:
    """A subfolder whose files belong to those of the same name in other subfolders. optional: samples may lack it."""

    folder: str
    endings: tuple[str, ...]
    optional: bool = False


def paired(kind: str, root: Path, roles: Sequence[Role], shown: str = "") -> FoundSamples:
    """Files of the same name (without suffix, with subfolders) in the folders of the roles; the first is the photo's.

    The paths of an entry are in the order of the roles; for a missing optional one, the photo's own path. shown:
    prefix of the entries' names.
    """
    found, by_role = FoundSamples(), []
    for role in roles:
        names: dict[str, Path] = {}
        for path in below(root / role.folder) if (root / role.folder).is_dir() else ():
            if path.suffix.lower() not in role.endings:
                found.problems.append(
                    f"{path} does not belong here, expected names ending in {', '.join(role.endings)}"
                )
                continue
            name = path.relative_to(root / role.folder).with_suffix("").as_posix()
            if name in names:
                found.problems.append(f"{path} has the name of {names[name]}, expected one file of a name")
                continue
            names[name] = path
        by_role.append(names)
    photos = by_role[0]
    needed = [(role, names) for role, names in zip(roles, by_role, strict=True) if not role.optional]
    for name, photo in photos.items():
        lacking = [role.folder for role, names in needed if name not in names]
        if lacking:
            found.problems.append(f"{photo} has no partner of its name in {' or '.join(lacking)}/")
            continue
        paths = tuple(names.get(name, photo) for names in by_role)
        found.entries.append(SampleFiles(kind, shown + name, paths))
    for role, names in zip(roles[1:], by_role[1:], strict=True):
        for name in names.keys() - photos.keys():
            found.problems.append(
                f"{names[name]} has no photo of its name in {roles[0].folder}/ ({role.folder})"
            )
    return found
