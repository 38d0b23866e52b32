"""Stored photos: bounded in number and size, expiring, with unguessable ids, in a folder that only its owner can read."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.photo_files import PhotoFiles
from deeplens_dof.serve.problems import Problem

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(eq=False)
class StoredPhoto:
    """A photo in the store.

    last_used: time of its latest use, in seconds of the store's clock. facts: the JSON of POST /v1/photos, empty
    until the photo is analysed. version: number of depth changes. bytes: size on disk. users: requests using it now.
    """

    id: str
    folder: Path
    last_used: float
    facts: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    bytes: int = 0
    users: int = 0

    @property
    def files(self) -> PhotoFiles:
        return PhotoFiles(self.id, self.folder, self.version)


class Store:
    """All stored photos, for use in one thread. on_delete: called with the id of each deleted photo."""

    def __init__(
        self,
        limits: ServiceLimits,
        on_delete: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits, self.on_delete, self.clock = limits, on_delete, clock
        self.folder = Path(tempfile.mkdtemp(prefix="deeplens-"))  # mode 0700
        self.photos: dict[str, StoredPhoto] = {}

    @property
    def bytes(self) -> int:
        return sum(photo.bytes for photo in self.photos.values())

    @contextmanager
    def new(self) -> Iterator[StoredPhoto]:
        """A new photo to fill in the block; an exception deletes it. Raises Problem 429 when all photos are in use."""
        self.expire()
        while len(self.photos) >= self.limits.stored_photos:
            if not self._drop_oldest():
                raise Problem(429, "every stored photo is in use; try again later", {"Retry-After": "5"})
        id = secrets.token_urlsafe(16)
        stored = StoredPhoto(id, self.folder / id, self.clock(), users=1)
        stored.folder.mkdir(mode=0o700)
        self.photos[id] = stored
        try:
            yield stored
        except BaseException:
            self.delete(id)
            raise
        finally:
            stored.users -= 1
        self.measure(stored)

    @contextmanager
    def use(self, id: str) -> Iterator[StoredPhoto]:
        """The photo with this id, which is not deleted while in use. Raises Problem 404."""
        self.expire()
        stored = self.photos.get(id) if _ID.fullmatch(id) else None
        if stored is None or not stored.facts:
            raise Problem(
                404, "there is no photo with this id; it was deleted or has expired, so send it again"
            )
        stored.users += 1
        try:
            yield stored
        finally:
            stored.users -= 1
            stored.last_used = self.clock()

    def measure(self, stored: StoredPhoto) -> None:
        """Updates the size of a photo, and deletes the least recently used photos beyond `stored_bytes`."""
        stored.bytes = 0
        for file in stored.folder.iterdir():
            with suppress(FileNotFoundError):  # a worker is replacing the depth
                stored.bytes += file.stat().st_size
        while self.bytes > self.limits.stored_bytes and self._drop_oldest(but=stored):
            pass

    def delete(self, id: str) -> None:
        """Deletes a photo and its files."""
        if stored := self.photos.pop(id, None):
            shutil.rmtree(stored.folder, ignore_errors=True)
            self.on_delete(id)

    def expire(self) -> None:
        """Deletes photos that were not used for `stored_seconds`."""
        oldest = self.clock() - self.limits.stored_seconds
        for photo in [
            photo for photo in self.photos.values() if not photo.users and photo.last_used < oldest
        ]:
            self.delete(photo.id)

    def close(self) -> None:
        self.photos.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drop_oldest(self, but: StoredPhoto | None = None) -> bool:
        idle = [photo for photo in self.photos.values() if not photo.users and photo is not but]
        if idle:
            self.delete(min(idle, key=lambda photo: photo.last_used).id)
        return bool(idle)
