"""Where photos lie: paths of this machine, or of a store that fsspec knows, such as s3://bucket/in/a.jpg.

A file of a store is fetched before the work and put there whole afterwards. fsspec comes with the extra `[ray]`; most
stores need a package of their own (s3:// needs s3fs).
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import secrets
from pathlib import Path, PosixPath, PurePath
from typing import Any
from urllib.request import url2pathname

_STORE = re.compile(r"([a-z][a-z0-9+.-]+)://")
_WHOLE = ("s3", "gs", "gcs", "az", "abfs", "memory")  # a file put there is not seen before it is complete


class StorePath(PosixPath):
    """A path in a store, whose text is its address. What asks this machine for it finds nothing."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)


def in_store(path: str | os.PathLike[str]) -> bool:
    """Whether it is the address of something in a store, rather than a file of this machine."""
    found = _STORE.match(str(path))
    return found is not None and found[1] != "file"


def place(text: str) -> Path:
    """The path that is meant."""
    if in_store(text):
        return StorePath(text)
    return Path(url2pathname(text[7:])) if text.startswith("file://") else Path(text)


def is_folder(path: Path) -> bool:
    """Raises OSError when the store does not answer, ValueError when nothing here knows such stores."""
    store, inner = _store(path)
    return bool(store.isdir(inner))


def files_below(path: Path) -> list[tuple[Path, str]]:
    """Every file below a folder of a store, or matching a pattern, in order, with its path below the fixed part."""
    store, inner = _store(path)
    scheme = str(path).partition("://")[0]
    magic = re.search(r"[*?\[]", inner)
    if magic:
        base = posixpath.dirname(inner[: magic.start()])
        found = store.glob(inner)
    else:
        base, found = inner, store.find(inner)
    base = base.strip("/")
    names = sorted(name.strip("/") for name in found)
    return [
        (StorePath(f"{scheme}://{name}"), PurePath(posixpath.relpath(name, base)).as_posix())
        for name in names
    ]


def fetch(path: Path, target: Path) -> None:
    """A file of a store to one of this machine. Raises OSError or ValueError."""
    store, inner = _store(path)
    if not store.isfile(inner):
        raise FileNotFoundError(f"{path} does not exist; check the address and who may read it")
    store.get_file(inner, str(target))


def digest(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file, here or in a store. Raises OSError or ValueError."""
    if in_store(path):
        store, inner = _store(path)
        opened = store.open(inner, "rb")
    else:
        opened = path.open("rb")
    sha256, size = hashlib.sha256(), 0
    with opened as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            size += len(block)
    return size, sha256.hexdigest()


def put(source: Path, path: Path) -> None:
    """A file of this machine to a store, whole or not at all. Raises OSError or ValueError."""
    store, inner = _store(path)
    if str(path).partition("://")[0] in _WHOLE:
        store.put_file(str(source), inner)
        return
    folder = posixpath.dirname(inner)
    store.makedirs(folder, exist_ok=True)
    part = posixpath.join(folder, f".deeplens-{secrets.token_hex(8)}.part")
    try:
        store.put_file(str(source), part)
        store.mv(part, inner)
    except BaseException:
        if store.exists(part):
            store.rm_file(part)
        raise


def _store(path: Path) -> tuple[Any, str]:
    """The store and the path in it."""
    scheme = str(path).partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise ValueError(
            f"{path} is in a store, which needs fsspec; install it with pip install 'deeplens-dof[ray]'"
        ) from None
    try:
        store, inner = fsspec.core.url_to_fs(str(path))
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be reached: nothing here knows {scheme}:// ({reason})") from error
    return store, inner
