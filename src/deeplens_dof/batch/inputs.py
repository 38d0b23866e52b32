"""What INPUT may be besides a photo or a folder: a pattern that no shell has expanded, or a list of names."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from deeplens_dof.batch.jobs import Input, is_picture
from deeplens_dof.batch.storage import files_below, in_store, is_folder, place
from deeplens_dof.runtime.errors import PlanError

_MAGIC = "*?["


def named(arguments: Sequence[str], lists: Sequence[str] = ()) -> list[Input]:
    """The photos and folders that are meant.

    arguments: names, patterns (`in/**/*.jpg`, where there is no file of that name) and `@LIST`. lists: files that hold
    names, "-" for standard input: one a line, or with a NUL after each. A photo that a list or a pattern names twice is
    taken once. Raises PlanError for a list that cannot be read.
    """
    found, listed = [], set()
    for each in _all(arguments, lists):
        if each.name is None or each not in listed:
            found.append(each)
            listed.add(each)
    if not found:
        raise PlanError("there are no names in the list, expected a photo or a folder on each line")
    return found


def _all(arguments: Sequence[str], lists: Sequence[str]) -> Iterator[Input]:
    for text in arguments:
        if text.startswith("@") and len(text) > 1:
            yield from map(_listed, _names(text[1:]))
        elif in_store(text):
            yield from _stored(text)
        elif any(each in text for each in _MAGIC) and not os.path.lexists(text):
            yield from _matching(text)
        else:
            yield Input(place(text))
    for where in lists:
        yield from map(_listed, _names(where))


def _names(where: str) -> list[str]:
    """The names in a list, as the file system has them."""
    try:
        data = sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PlanError(f"the list {where!r} cannot be read ({why}); name a file of names") from None
    names = data.split(b"\0") if b"\0" in data else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(name) for name in names if name.strip()]


def _listed(name: str) -> Input:
    """A name from a list keeps its folders below the results' folder, so that no two meet there."""
    path = place(name)
    if in_store(name):
        return Input(path, path.relative_to(path.anchor or path.parts[0]).as_posix())
    whole = PurePath(os.path.normpath(name))
    if whole.is_absolute() or ".." in whole.parts:
        whole = PurePath(os.path.abspath(name))
    return Input(path, whole.relative_to(whole.anchor).as_posix())


def _matching(pattern: str) -> Iterator[Input]:
    """The photos that a pattern matches, named below its fixed part, in order."""
    parts = PurePath(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if any(each in part for each in _MAGIC))
    base = Path(*parts[:fixed])
    matches = sorted(
        path
        for path in map(Path, glob.glob(pattern, recursive=True))
        if is_picture(path.name) and not path.is_dir()
    )
    for path in matches:
        yield Input(path, path.relative_to(base).as_posix())
    if not matches:
        problem = f"{pattern} matches no photos; check the pattern"
        yield Input(Path(pattern), pattern, problem)


def _stored(text: str) -> Iterator[Input]:
    """The photos of a store that are meant: one, those below a folder, or those that a pattern matches."""
    path = place(text)
    try:
        if not any(each in text for each in _MAGIC) and not is_folder(path):
            yield Input(path)
            return
        found = [(each, name) for each, name in files_below(path) if is_picture(each.name)]
    except (OSError, ValueError) as error:
        raise PlanError(str(error) if text in str(error) else f"{text} cannot be read: {error}") from error
    for each, name in found:
        yield Input(each, name)
    if not found:
        yield Input(path, path.name, f"{text} holds no photos; check the address")
