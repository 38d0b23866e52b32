"""Local and remote paths: files on this machine, or at any address fsspec understands, such as s3://bucket/in/a.jpg.

Remote files are downloaded before they are processed; results are uploaded when complete. fsspec comes with the extra
`[ray]`; most protocols need a package of their own (s3:// needs s3fs).
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

from deeplens_dof.runtime.errors import install_extra

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://")
# Protocols whose stores show an uploaded file only once it is complete.
_ATOMIC = ("s3", "gs", "gcs", "az", "abfs", "memory")


class RemotePath(PosixPath):
    """A path in a store; `str(path)` is its address. On this machine no such file exists."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a remote address rather than a local file (file:// is local)."""
    address = _ADDRESS.match(str(path))
    return address is not None and address[1] != "file"


def as_path(text: str) -> Path:
    """The local or remote path that a text names."""
    if is_remote(text):
        return RemotePath(text)
    return Path(url2pathname(text[7:])) if text.startswith("file://") else Path(text)


def is_folder(path: Path) -> bool:
    """Whether a remote path is a folder.

    Raises:
        OSError: the store does not answer.
        ValueError: no installed package supports the protocol.
    """
    store, inner = _store(path)
    return bool(store.isdir(inner))


def files_below(path: Path) -> list[tuple[Path, str]]:
    """All files below a remote folder, or all that match a remote pattern, sorted.

    Returns:
        Pairs of a file's path and its name relative to the folder, or to the part of the pattern before any wildcard.

    Raises:
        OSError: the store does not answer.
        ValueError: no installed package supports the protocol.
    """
    store, inner = _store(path)
    protocol = str(path).partition("://")[0]
    wildcard = re.search(r"[*?\[]", inner)
    if wildcard:
        base = posixpath.dirname(inner[: wildcard.start()])
        found = store.glob(inner)
    else:
        base, found = inner, store.find(inner)
    base = base.strip("/")
    names = sorted(name.strip("/") for name in found)
    return [
        (RemotePath(f"{protocol}://{name}"), PurePath(posixpath.relpath(name, base)).as_posix())
        for name in names
    ]


def download(path: Path, target: Path) -> None:
    """Copy a remote file to a local path. Raises OSError or ValueError."""
    store, inner = _store(path)
    if not store.isfile(inner):
        raise FileNotFoundError(f"{path} does not exist; check the address and its permissions")
    store.get_file(inner, str(target))


def upload(source: Path, path: Path) -> None:
    """Copy a local file to a remote path; readers never see a partial file. Raises OSError or ValueError."""
    store, inner = _store(path)
    if str(path).partition("://")[0] in _ATOMIC:
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


def digest(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a local or remote file. Raises OSError or ValueError."""
    if is_remote(path):
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


def _store(path: Path) -> tuple[Any, str]:
    """The fsspec file system of a remote path, and the path within it."""
    protocol = str(path).partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise ValueError(
            f"{path} is a remote address, which needs fsspec; install it with {install_extra('ray')}"
        ) from None
    try:
        store, inner = fsspec.core.url_to_fs(str(path))
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} cannot be reached: no installed package supports {protocol}:// ({reason})"
        ) from error
    return store, inner
