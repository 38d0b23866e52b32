"""What has become of every photo of a folder of results: one line of JSON each, so that a killed run can go on.

The file grows only at its end, every line is synced before the next photo is asked for, and one process writes it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

STEM, ENDING = ".deeplens-manifest", ".jsonl"


@dataclass(frozen=True, slots=True)
class Output:
    """A file that was written, with its size and SHA-256."""

    path: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Output:
        """Of the file that is there. Raises OSError."""
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(os.fspath(path), file.tell(), sha256)


@dataclass(frozen=True, slots=True)
class Record:
    """What has become of one photo.

    name: its path below the results' folder, "/" between folders. input, output: as they were named. error: a sentence
    when it failed. f_number: the one used, where the photo named it. full_disk: it failed for want of space. traceback:
    for --debug, never written down.
    """

    name: str
    input: str
    output: str
    state: Literal["done", "failed", "skipped"]
    input_sha256: str | None = None
    outputs: tuple[Output, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    f_number: float | None = None
    full_disk: bool = False
    traceback: str | None = field(default=None, repr=False)

    def report(self) -> dict[str, Any]:
        """What the report on standard output says of it."""
        told: dict[str, Any] = {
            "input": self.input,
            "output": None if self.error else self.output,
            "state": self.state,
            "seconds": self.seconds,
            "error": self.error,
        }
        return told if self.f_number is None else told | {"f_number": self.f_number}


@dataclass(frozen=True, slots=True)
class _Done:
    """Of what was done, what tells whether it still is. Paths are relative to the manifest's folder."""

    input_sha256: str | None
    outputs: tuple[Output, ...]

    @classmethod
    def of(cls, line: dict[str, Any]) -> _Done:
        """Raises KeyError or TypeError for what is no line of a manifest."""
        outputs = (Output(each["path"], each["bytes"], each["sha256"]) for each in line["outputs"])
        return cls(line["input_sha256"], tuple(outputs))


class LockedError(Exception):
    """Another process writes the manifest. One sentence."""


class Manifest:
    """The manifest of a folder, open for one run with one set of settings.

    shard: (I, N), each of which writes a file of its own; all of them are read. Raises LockedError when another run
    writes it, OSError when it cannot be written; the folder is made.
    """

    def __init__(
        self, folder: str | os.PathLike[str], settings_sha256: str, shard: tuple[int, int] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.settings_sha256 = settings_sha256
        self.folder.mkdir(parents=True, exist_ok=True)
        own = f"-{shard[0]}-of-{shard[1]}" if shard else ""
        self.path = self.folder / f"{STEM}{own}{ENDING}"
        self._locks: list[FileIO] = []
        try:
            self._file = self._locked(self.path, "a+", shared=False)
            for other in files(self.folder):
                is_shard = other.name != f"{STEM}{ENDING}"
                if other.name != self.path.name and not (shard and is_shard):
                    self._locked(other, "r+", shared=shard is not None)
            self._drop_torn_line()
        except BaseException:
            self.close()
            raise
        wanted = ("done", settings_sha256)
        self._done = {
            line["name"]: _Done.of(line)
            for line in lines(self.folder)
            if (line["state"], line["settings_sha256"]) == wanted
        }

    def is_done(self, name: str, source: Path, outputs: list[Path]) -> bool:
        """Whether this very input with these very settings has been done, and its outputs are still as they were."""
        known = self._done.get(name)
        if known is None:
            return False
        if [each.path for each in known.outputs] != [self._relative(path) for path in outputs]:
            return False
        written = [
            replace(each, path=os.fspath(path)) for each, path in zip(known.outputs, outputs, strict=True)
        ]
        try:
            if any(os.path.getsize(each.path) != each.size_bytes for each in written):
                return False
            return Output.of(source).sha256 == known.input_sha256 and all(
                Output.of(each.path) == each for each in written
            )
        except (OSError, ValueError):  # then it is to be done, and what is wrong will be said
            return False

    def append(self, record: Record) -> None:
        """Writes one line and syncs it. Raises OSError, with nothing of the line left, when it cannot be written."""
        line = self._line(record)
        text = (json.dumps(line) + "\n").encode("ascii")
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, end)
            raise
        if record.state == "done":
            self._done[record.name] = _Done.of(line)

    def close(self) -> None:
        """Lets other runs have it. May be called again."""
        for file in self._locks:
            with suppress(OSError):
                file.close()
        self._locks.clear()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, _: type[BaseException] | None, __: object, ___: TracebackType | None) -> None:
        self.close()

    def _line(self, record: Record) -> dict[str, Any]:
        outputs = [
            {"path": self._relative(each.path), "bytes": each.size_bytes, "sha256": each.sha256}
            for each in record.outputs
        ]
        return {
            "name": record.name,
            "input": record.input,
            "state": record.state,
            "input_sha256": record.input_sha256,
            "settings_sha256": self.settings_sha256,
            "outputs": outputs,
            "seconds": record.seconds,
            "error": record.error,
        }

    def _relative(self, path: str | os.PathLike[str]) -> str:
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def _locked(self, path: Path, mode: Literal["a+", "r+"], shared: bool) -> FileIO:
        file = FileIO(path, mode)
        self._locks.append(file)
        try:
            _lock(file.fileno(), shared)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise
            raise LockedError(
                f"another run is at work on {str(self.folder)!r} (it holds {path.name}); wait for its end, or name "
                "another folder"
            ) from None
        return file

    def _drop_torn_line(self) -> None:
        """Cuts off what a killed run had not finished writing."""
        whole = self.path.read_bytes()
        if whole and not whole.endswith(b"\n"):
            os.truncate(self.path, whole.rfind(b"\n") + 1)


def files(folder: Path) -> list[Path]:
    """The manifests in a folder: the whole run's and the shards'."""
    return sorted(folder.glob(f"{STEM}*{ENDING}"))


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Every whole line of every manifest in a folder, in the order of writing within a file."""
    for path in files(folder):
        with path.open("rb") as file:
            for text in file:
                with suppress(ValueError, KeyError, TypeError):
                    line = json.loads(text)
                    if text.endswith(b"\n") and _Done.of(line) and line["state"] and line["settings_sha256"]:
                        yield line


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, shared: bool) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int, shared: bool) -> None:
        """Taken at once or refused with OSError; gone with the process, however it ends."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
