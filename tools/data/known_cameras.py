"""Photos whose cameras are published beside them: three layouts, as views for `multiview_depth.py`.

| layout | cameras | distances |
|---|---|---|
| `strecha` | `gt_dense_cameras/PHOTO.camera` beside `images/` (Strecha et al. 2008) | not said |
| `llff` | `poses_bounds.npy` beside `images/` (Mildenhall et al. 2019) | of each photo |
| `transforms` | `transforms.json` with paths of the photos (Mueller et al. 2022) | not said |

Photos are read as their cameras see them, whatever EXIF says of their orientation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from multiview_depth import View

Matrix = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class KnownCamera:
    """A photo's file and camera. distances: nearest and farthest thing in the scene's units, if the layout says so.

    matrix: for the size (width, height). rotation, position: of the world as the camera sees it (`View`).
    distortion: k1, k2, p1, p2 as OpenCV has them.
    """

    path: Path
    size: tuple[float, float]
    matrix: Matrix
    rotation: Matrix
    position: npt.NDArray[np.float64]
    distortion: tuple[float, ...] = ()
    distances: tuple[float, float] | None = None


def known_cameras(folder: Path) -> list[KnownCamera]:
    """The photos of a folder and their cameras, by name; photos that are not there are left out.

    Raises:
        ValueError: none of the three layouts, or numbers of photos and cameras that differ.
    """
    if (folder / "transforms.json").is_file():
        found = _transforms(folder)
    elif (folder / "poses_bounds.npy").is_file():
        found = _llff(folder)
    elif (folder / "gt_dense_cameras").is_dir():
        found = _strecha(folder)
    else:
        raise ValueError(
            f"{folder} says nothing of its cameras, expected transforms.json, poses_bounds.npy or gt_dense_cameras/"
        )
    return sorted((each for each in found if each.path.is_file()), key=lambda each: each.path.name)


def _strecha(folder: Path) -> Iterator[KnownCamera]:
    for path in sorted((folder / "gt_dense_cameras").glob("*.camera")):
        numbers = np.array(path.read_text().split(), float)
        if len(numbers) < 24:
            raise ValueError(
                f"{path} holds {len(numbers)} numbers, expected 24: matrix, zeros, rotation, centre"
            )
        rotation = numbers[12:21].reshape(3, 3).T
        matrix = numbers[:9].reshape(3, 3)
        photo = folder / "images" / path.stem
        yield KnownCamera(photo, (3072, 2048), matrix, rotation, -rotation @ numbers[21:24])


def _llff(folder: Path) -> Iterator[KnownCamera]:
    photos = folder / "images"
    names = _names(folder, photos)
    rows = np.load(folder / "poses_bounds.npy", allow_pickle=False)
    if rows.shape != (len(names), 17):
        raise ValueError(
            f"{folder / 'poses_bounds.npy'} has the shape {rows.shape}, expected {(len(names), 17)} for the photos "
            f"in {photos}; photos that were left out may be named in photos.txt, all of them, one a line"
        )
    for name, row in zip(names, rows, strict=True):
        pose = row[:15].reshape(3, 5)
        down, right, back, centre, (height, width, focal) = pose.T
        rotation = np.stack([right, down, -back])
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        distances = (float(row[15]), float(row[16]))
        yield KnownCamera(photos / name, (width, height), matrix, rotation, -rotation @ centre, (), distances)


def _names(folder: Path, photos: Path) -> list[str]:
    """The photos that the rows of `poses_bounds.npy` stand for: those of photos.txt, or all there are."""
    if (folder / "photos.txt").is_file():
        return sorted((folder / "photos.txt").read_text().split())
    return sorted(path.name for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)


def _transforms(folder: Path) -> Iterator[KnownCamera]:
    told = json.loads((folder / "transforms.json").read_text())
    matrix = np.array([[told["fl_x"], 0, told["cx"]], [0, told["fl_y"], told["cy"]], [0, 0, 1]])
    distortion = tuple(float(told.get(name, 0)) for name in ("k1", "k2", "p1", "p2"))
    for frame in told["frames"]:
        pose = np.array(frame["transform_matrix"], float)
        rotation = pose[:3, :3].T * np.array([[1.0], [-1.0], [-1.0]])
        position = -rotation @ pose[:3, 3]
        yield KnownCamera(
            folder / frame["file_path"], (told["w"], told["h"]), matrix, rotation, position, distortion
        )


def opened(camera: KnownCamera, long_side: int) -> tuple[View, Picture]:
    """The view at a smaller size, without distortion, and its picture (BGR).

    Raises ValueError for a file that is no picture.
    """
    width, height = camera.size
    smaller = max(width, height) / long_side
    flag = (
        cv2.IMREAD_REDUCED_COLOR_4
        if smaller >= 6
        else cv2.IMREAD_REDUCED_COLOR_2
        if smaller >= 3
        else cv2.IMREAD_COLOR
    )
    picture = cv2.imread(str(camera.path), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise ValueError(f"{camera.path} is no picture that can be read")
    scale = long_side / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    matrix = np.diag([picture.shape[1] / width, picture.shape[0] / height, 1.0]) @ camera.matrix
    if any(camera.distortion):
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])  # OpenCV has pixel centres at whole numbers
        indices = np.linalg.inv(half) @ matrix
        picture = cv2.undistort(picture, indices, np.array(camera.distortion))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return View(camera.path.name, grey, matrix, camera.rotation, camera.position), picture
