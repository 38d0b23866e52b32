"""Expands the INPUT arguments of the command: paths, patterns and lists of names."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from deeplens_dof.batch.jobs import Input, is_left_out, is_picture
from deeplens_dof.batch.storage import as_path, files_below, is_folder, is_remote
from deeplens_dof.runtime.errors import PlanError

_WILDCARDS = "*?["


def expand_inputs(
    arguments: Sequence[str], lists: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[Input]:
    """The photos and folders that the arguments name.

    Args:
        arguments: paths, patterns such as `in/**/*.jpg` (unless a file of that name exists), and `@LIST`.
        exclude: patterns of names and folders that patterns and stores pass over; hidden folders always are.
        lists: files that hold one name per line, or NUL-separated names; "-" is standard input.

    Returns:
        Inputs in the order given. A photo that lists or patterns name twice appears once.

    Raises:
        PlanError: a list cannot be read or is empty, or a store cannot be reached.
    """
    found: list[Input] = []
    listed: set[Input] = set()
    for item in _expanded(arguments, lists, exclude):
        if item.name is None or item not in listed:
            found.append(item)
            listed.add(item)
    if not found:
        raise PlanError("the list is empty, expected the name of a photo or folder on each line")
    return found


def _expanded(arguments: Sequence[str], lists: Sequence[str], exclude: Sequence[str]) -> Iterator[Input]:
    for argument in arguments:
        if not argument.strip():
            raise PlanError(
                "an INPUT is empty, expected the name of a photo or folder; check the variable it came from"
            )
        if argument.startswith("@") and len(argument) > 1:
            yield from map(_from_list, _read_list(argument[1:]))
        elif is_remote(argument):
            yield from _from_store(argument, exclude)
        elif _is_pattern(argument) and not os.path.lexists(argument):
            yield from _from_pattern(argument, exclude)
        else:
            yield Input(as_path(argument))
    for file in lists:
        yield from map(_from_list, _read_list(file))


def _is_pattern(text: str) -> bool:
    return any(wildcard in text for wildcard in _WILDCARDS)


def _read_list(file: str) -> list[str]:
    """The names in a list, decoded as file names."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PlanError(f"the list {file!r} cannot be read ({why}); give a text file of names") from None
    names = data.split(b"\0") if b"\0" in data else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(name) for name in names if name.strip()]


def _from_list(name: str) -> Input:
    """A name from a list; it keeps its folders below the output folder, so that names cannot clash."""
    path = as_path(name)
    if is_remote(name):
        return Input(path, path.relative_to(path.anchor or path.parts[0]).as_posix())
    full = PurePath(os.path.normpath(name))
    if full.is_absolute() or ".." in full.parts:
        full = PurePath(os.path.abspath(name))
    return Input(path, full.relative_to(full.anchor).as_posix())


def _from_pattern(pattern: str, exclude: Sequence[str]) -> Iterator[Input]:
    """The photos that match a local pattern, sorted, named relative to the part before any wildcard."""
    parts = PurePath(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if _is_pattern(part))
    base = Path(*parts[:fixed])
    matches = sorted(
        path
        for path in map(Path, glob.glob(pattern, recursive=True))
        if is_picture(path.name)
        and not path.is_dir()
        and not is_left_out(path.relative_to(base).parts, exclude)
    )
    for path in matches:
        yield Input(path, path.relative_to(base).as_posix())
    if not matches:
        problem = f"{pattern} matches no photos; check the pattern"
        yield Input(Path(pattern), pattern, problem)


def _from_store(address: str, exclude: Sequence[str]) -> Iterator[Input]:
    """The photos at a remote address: a single one, those below a folder, or those that match a pattern."""
    path = as_path(address)
    try:
        if not _is_pattern(address) and not is_folder(path):
            yield Input(path)
            return
        photos = [
            (file, name)
            for file, name in files_below(path)
            if is_picture(file.name) and not is_left_out(PurePath(name).parts, exclude)
        ]
    except (OSError, ValueError) as error:
        text = str(error)
        raise PlanError(text if address in text else f"{address} cannot be read: {error}") from error
    for file, name in photos:
        yield Input(file, name)
    if not photos:
        yield Input(path, path.name, f"{address} holds no photos; check the address")
