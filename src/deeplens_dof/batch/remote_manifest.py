"""The manifest of a remote output folder: written on this machine line by line, and uploaded from time to time."""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from pathlib import Path

from deeplens_dof.batch.manifest import ENDING, STEM, Manifest, Record
from deeplens_dof.batch.storage import digest, download, files_below, upload

# Seconds between uploads. After a crash the local file still has every line.
_UPLOAD_S = 30.0


class RemoteManifest(Manifest):
    """A `Manifest` whose file is kept in the user's state folder (XDG_STATE_HOME) and copied to the output folder.

    A longer one in the output folder, from a run on another machine, is downloaded first. The lock only sees runs on
    this machine.

    Raises:
        LockedError, OSError: as `Manifest`.
        ValueError: no installed package supports the protocol.
    """

    def __init__(self, folder: Path, settings_sha256: str, shard: tuple[int, int] | None = None) -> None:
        self.remote_folder = folder
        key = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        local_folder = _state_folder() / key
        local_folder.mkdir(parents=True, exist_ok=True)
        for path, _ in files_below(folder / f"{STEM}*{ENDING}"):
            local = local_folder / path.name
            if not local.exists() or local.stat().st_size < digest(path)[0]:
                download(path, local)
        self._uploaded = time.monotonic()
        self._changed = False
        super().__init__(local_folder, settings_sha256, shard)

    def append(self, record: Record) -> None:
        super().append(record)
        self._changed = True
        if time.monotonic() - self._uploaded > _UPLOAD_S:
            self._upload()

    def close(self) -> None:
        if self._changed:
            self._upload()
        super().close()

    def _upload(self) -> None:
        upload(self.path, self.remote_folder / self.path.name)
        self._uploaded, self._changed = time.monotonic(), False

    def is_done(self, name: str, source: Path, outputs: list[Path], depth: Path | None = None) -> bool:
        known = self._done.get(name)
        paths = [self._relative(path) for path in outputs]
        if known is None or [output.path for output in known.outputs] != paths:
            return False
        try:
            return (
                digest(source)[1] == known.input_sha256
                and (None if depth is None else digest(depth)[1]) == known.depth_sha256
                and all(
                    digest(path) == (output.size_bytes, output.sha256)
                    for path, output in zip(outputs, known.outputs, strict=True)
                )
            )
        except (OSError, ValueError):  # processing it again reports the error
            return False

    def _relative(self, path: str | os.PathLike[str]) -> str:
        return posixpath.relpath(str(path), str(self.remote_folder))


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "deeplens"
