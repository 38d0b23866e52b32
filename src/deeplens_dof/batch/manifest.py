"""The manifest of an output folder: one line of JSON per photo, from which an interrupted run can resume.

The file is append-only, each line is synced before the next photo starts, and only one process writes it.
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
    """An output file with its size and SHA-256."""

    path: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Output:
        """Measure an existing file. Raises OSError."""
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(os.fspath(path), file.tell(), sha256)


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of one photo.

    Attributes:
        name: path of the result relative to the output folder, with "/".
        input, output: paths as the user gave them.
        state: "done", "failed" or "skipped".
        input_sha256: of the photo's file; None if it could not be read.
        depth_sha256: of its own depth file, if it has one.
        outputs: the files written.
        seconds: time taken.
        error: a sentence if it failed.
        f_number: the one used, if the photo specified it.
        notes: sentences about what was mended or left out.
        full_disk: whether it failed because the disk is full.
        traceback: for --debug; not stored in the manifest.
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
    notes: tuple[str, ...] = ()
    full_disk: bool = False
    traceback: str | None = field(default=None, repr=False)
    depth_sha256: str | None = None

    def report(self) -> dict[str, Any]:
        """The photo's entry in the JSON report."""
        entry: dict[str, Any] = {
            "input": self.input,
            "output": None if self.error else self.output,
            "state": self.state,
            "seconds": self.seconds,
            "error": self.error,
        }
        more: dict[str, Any] = {"f_number": self.f_number, "notes": list(self.notes) or None}
        return entry | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Done:
    """The facts of a completed job that decide whether it is up to date. Paths are relative to the manifest's folder."""

    input_sha256: str | None
    outputs: tuple[Output, ...]
    depth_sha256: str | None = None

    @classmethod
    def of(cls, line: dict[str, Any]) -> _Done:
        """From a parsed line. Raises KeyError or TypeError if it is not a line of a manifest."""
        outputs = (Output(entry["path"], entry["bytes"], entry["sha256"]) for entry in line["outputs"])
        return cls(line["input_sha256"], tuple(outputs), line.get("depth_sha256"))


class LockedError(Exception):
    """Another process holds the manifest. The message is one sentence."""


class Manifest:
    """The manifest of an output folder, open for one run with one set of options.

    Args:
        folder: created if it does not exist.
        settings_sha256: `JobOptions.sha256` of the run.
        shard: (I, N); each shard writes a file of its own and reads all of them.

    Raises:
        LockedError: another run is writing it.
        OSError: it cannot be written.
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
        self._done = {
            line["name"]: _Done.of(line)
            for line in lines(self.folder)
            if (line["state"], line["settings_sha256"]) == ("done", settings_sha256)
        }

    def is_done(self, name: str, source: Path, outputs: list[Path], depth: Path | None = None) -> bool:
        """Whether this photo has been processed with these options, and photo, depth and outputs are unchanged since.

        Args:
            name: of the job.
            source: the photo.
            outputs: the files the job writes, in order.
            depth: a depth file of its own.
        """
        known = self._done.get(name)
        if known is None:
            return False
        if [output.path for output in known.outputs] != [self._relative(path) for path in outputs]:
            return False
        expected = [
            replace(output, path=os.fspath(path)) for output, path in zip(known.outputs, outputs, strict=True)
        ]
        try:
            if any(os.path.getsize(output.path) != output.size_bytes for output in expected):
                return False
            return (
                Output.of(source).sha256 == known.input_sha256
                and (None if depth is None else Output.of(depth).sha256) == known.depth_sha256
                and all(Output.of(output.path) == output for output in expected)
            )
        except (OSError, ValueError):  # processing it again reports the error
            return False

    def append(self, record: Record) -> None:
        """Append a record and sync the file. Raises OSError if it cannot be written; no partial line remains."""
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
        """Release the manifest to other runs. May be called repeatedly."""
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
            {"path": self._relative(output.path), "bytes": output.size_bytes, "sha256": output.sha256}
            for output in record.outputs
        ]
        return {
            "name": record.name,
            "input": record.input,
            "state": record.state,
            "input_sha256": record.input_sha256,
            "depth_sha256": record.depth_sha256,
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
                f"another run is at work on {str(self.folder)!r} (it holds {path.name}); wait until it ends, or choose "
                "another folder"
            ) from None
        return file

    def _drop_torn_line(self) -> None:
        """Remove the incomplete last line of a killed run."""
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            os.truncate(self.path, data.rfind(b"\n") + 1)


def files(folder: Path) -> list[Path]:
    """The manifests in a folder: that of an unsharded run and those of shards."""
    return sorted(folder.glob(f"{STEM}*{ENDING}"))


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of all manifests in a folder, parsed; invalid lines are ignored."""
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
        """Lock without waiting, or raise OSError. The lock ends with the process."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
