"""The manifest of a folder of results that lies in a store: written here, line by line, and copied there now and then."""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from pathlib import Path

from deeplens_dof.batch.manifest import ENDING, STEM, Manifest, Record
from deeplens_dof.batch.storage import digest, fetch, files_below, put

_COPY_S = 30.0  # between copies; after a crash, this machine's own file still has every line


class StoreManifest(Manifest):
    """As `Manifest`, whose file here is in the state folder of the user (XDG_STATE_HOME). A longer one in the store, of
    another machine's run, is taken over first. Only runs of one machine see that another is at work there.

    Raises as `Manifest` does, and ValueError for a store that is not known here.
    """

    def __init__(self, folder: Path, settings_sha256: str, shard: tuple[int, int] | None = None) -> None:
        self.store = folder
        here = (
            _state_folder() / hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        )
        here.mkdir(parents=True, exist_ok=True)
        for path, _ in files_below(folder / f"{STEM}*{ENDING}"):
            own = here / path.name
            if not own.exists() or own.stat().st_size < digest(path)[0]:
                fetch(path, own)
        self._copied = time.monotonic()
        self._new = False
        super().__init__(here, settings_sha256, shard)

    def is_done(self, name: str, source: Path, outputs: list[Path]) -> bool:
        known = self._done.get(name)
        if known is None or [each.path for each in known.outputs] != [
            self._relative(path) for path in outputs
        ]:
            return False
        try:
            return digest(source)[1] == known.input_sha256 and all(
                digest(path) == (each.size_bytes, each.sha256)
                for path, each in zip(outputs, known.outputs, strict=True)
            )
        except (OSError, ValueError):  # then it is to be done, and what is wrong will be said
            return False

    def append(self, record: Record) -> None:
        super().append(record)
        self._new = True
        if time.monotonic() - self._copied > _COPY_S:
            self._copy()

    def close(self) -> None:
        if self._new:
            self._copy()
        super().close()

    def _copy(self) -> None:
        put(self.path, self.store / self.path.name)
        self._copied, self._new = time.monotonic(), False

    def _relative(self, path: str | os.PathLike[str]) -> str:
        return posixpath.relpath(str(path), str(self.store))


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "deeplens"
