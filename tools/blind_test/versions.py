"""The product default of the working tree beside that of another commit, each in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Blurred:
    """picture: uint8 sRGB (H, W, 3). coc_px: float32 (H, W), signed."""

    picture: np.ndarray
    coc_px: np.ndarray


class Version:
    """The package in a folder, in a process that waits for photos."""

    def __init__(self, source: Path, **environment: str) -> None:
        """source: the folder that `deeplens_dof` lies in. Raises RuntimeError when another one is used."""
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("default_of.py"))],
            env=os.environ | environment | {"PYTHONPATH": str(source)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        expected, used = str((source / "deeplens_dof").resolve()), self._answer()
        if used != expected:
            self.__exit__(None, None, None)
            raise RuntimeError(f"the package used is {used or 'none'}, expected {expected}")

    def __enter__(self) -> Version:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()

    def blurred(self, photo: Path, settings: dict[str, Any]) -> Blurred:
        """The photo in a file, analysed and blurred. Raises RuntimeError when the process has ended."""
        with tempfile.TemporaryDirectory() as folder:
            result = str(Path(folder) / "result.npz")
            job = {"photo": str(photo), "settings": settings, "result": result}
            print(json.dumps(job), file=self.process.stdin, flush=True)
            if self._answer() != result:
                raise RuntimeError(f"there is no result of {photo}; the reason stands above")
            with np.load(result) as found:
                return Blurred(found["picture"], found["coc_px"])

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


def commits(other: str) -> dict[str, str]:
    """Commit by name of version: `default`, the working tree, and `default@HASH`. Raises ValueError for no commit."""
    try:
        whole, short = (
            git("rev-parse", "--verify", "--quiet", *form, other + "^{commit}") for form in ((), ("--short",))
        )
    except subprocess.CalledProcessError:
        raise ValueError(
            f"{other!r} is no commit of {ROOT}, expected a hash, a tag or a branch; `git log` lists them"
        ) from None
    changed = "-changed" if git("status", "--porcelain", "--", "src") else ""
    return {
        DEFAULT: git("log", "-1", "--format=%H", "--", "src") + changed,
        f"{DEFAULT}@{short}": whole,
    }


@contextmanager
def running(commits: dict[str, str]) -> Iterator[dict[str, Version]]:
    """Both versions by name, for photos one after the other; the other commit's package lies in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        started = {}
        for name, commit in commits.items():
            source, environment = ROOT / "src", {}
            if name != DEFAULT:
                unpack(commit, Path(folder))
                source, environment = Path(folder) / "src", {"NUMBA_CACHE_DIR": f"{folder}/kernels"}
            started[name] = stack.enter_context(Version(source, **environment))
        yield started


def unpack(commit: str, folder: Path) -> None:
    """The commit's src/ into a folder."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit, "src"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
