"""NYU Depth v2 (Silberman et al., ECCV 2012): rooms, Kinect, metres.

Either the labelled file `nyu_depth_v2_labeled.mat` (MATLAB 7.3, which is HDF5, so h5py is needed), or folders of extracted
pictures: `rgb_N.jpg` with `sync_depth_N.png` or `depth_N.png`, or `N_colors.png` with `N_depth.png`. Depth is in 16-bit
millimetres, 0 where it was not measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deeplens_dof.datasets.layout import FoundSamples, Layout, any_below, below
from deeplens_dof.datasets.sample import (
    PHOTO_SUFFIXES,
    DatasetError,
    Mask,
    Sample,
    SampleFiles,
    from_metres,
    read_codes,
    read_rgb,
    sample,
)
from deeplens_dof.runtime.errors import install_extra

_KIND = "nyuv2"
_EXPECTED = (
    "a .mat file with images, depths and rawDepths (nyu_depth_v2_labeled.mat), or rgb_N.jpg beside sync_depth_N.png "
    "(or N_colors.png beside N_depth.png) with 16-bit millimetres"
)
# Rows and columns inside the white frame of 640 x 480 pictures (Eigen et al. 2014).
_CROP = (45, 471, 41, 601)


def _marks(folder: Path) -> bool:
    return any_below(folder, "*.mat", "sync_depth_*.png", "rgb_*", "*_colors.png")


def _find(folder: Path) -> FoundSamples:
    found = FoundSamples()
    for path in below(folder, "*.mat"):
        found.entries.extend(_labelled(path))
    partners: set[Path] = set()
    photos = [path for path in below(folder) if _is_photo(path)]
    for photo in photos:
        names = _depth_names(photo)
        depth = next((photo.with_name(name) for name in names if photo.with_name(name).is_file()), None)
        if depth is None:
            found.problems.append(f"{photo} has no depth beside it, expected {' or '.join(names)}")
            continue
        partners.add(depth)
        name = photo.relative_to(folder).with_suffix("").as_posix()
        found.entries.append(SampleFiles(_KIND, name, (photo, depth)))
    for path in below(folder):
        if path.suffix.lower() != ".mat" and path not in partners and not _is_photo(path):
            found.problems.append(f"{path} does not belong here, expected {_EXPECTED}")
    return found


def _is_photo(path: Path) -> bool:
    named = path.stem.startswith("rgb_") or path.stem.endswith("_colors")
    return named and path.suffix.lower() in PHOTO_SUFFIXES


def _depth_names(photo: Path) -> tuple[str, ...]:
    if photo.stem.endswith("_colors"):
        return (f"{photo.stem.removesuffix('_colors')}_depth.png",)
    number = photo.stem.removeprefix("rgb_")
    return (f"sync_depth_{number}.png", f"depth_{number}.png")


def _labelled(path: Path) -> list[SampleFiles]:
    """An entry for every photo of a .mat file."""
    with _opened(path) as file:
        missing = [name for name in ("images", "depths") if name not in file]
        if missing:
            raise DatasetError(f"{path} has no {' and no '.join(missing)}, expected NYU's labelled file")
        pictures, depths = file["images"], file["depths"]
        if (
            pictures.ndim != 4
            or pictures.shape[1] != 3
            or depths.shape != (pictures.shape[0], *pictures.shape[2:])
        ):
            raise DatasetError(
                f"{path} holds images {pictures.shape} and depths {depths.shape}, expected (N, 3, W, H) and (N, W, H)"
            )
        count = len(pictures)
    return [SampleFiles(_KIND, f"{path.stem}_{index:04d}", (path,), index) for index in range(count)]


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DatasetError(
            f"{path.name} is HDF5, and h5py is not installed; run {install_extra('hdf5')}"
        ) from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read as HDF5 ({error}); fetch it again") from error


def _read(entry: SampleFiles) -> Sample:
    if len(entry.paths) == 1:
        with _opened(entry.paths[0]) as file:
            rgb = np.ascontiguousarray(np.asarray(file["images"][entry.index], np.uint8).transpose(2, 1, 0))
            metres = np.array(file["depths"][entry.index], np.float32).T
            if "rawDepths" in file:  # holes of `depths` are inpainted; only measured pixels are labels
                metres[np.asarray(file["rawDepths"][entry.index]).T <= 0] = 0
    else:
        rgb, codes = read_rgb(entry.paths[0]), read_codes(entry.paths[1])
        if codes.dtype != np.uint16:
            raise DatasetError(f"{entry.paths[1]} holds 8 bits, expected 16 bits of millimetres")
        metres = codes.astype(np.float32) / np.float32(1000)
    inverse, known = from_metres(metres, _without_frame(metres.shape))
    return sample(entry.name, rgb, inverse, known, "1/m")


def _without_frame(shape: tuple[int, ...]) -> Mask | None:
    if shape != (480, 640):
        return None
    inside = np.zeros(shape, np.bool_)
    inside[_CROP[0] : _CROP[1], _CROP[2] : _CROP[3]] = True
    return inside


NYUV2_LAYOUT = Layout(_KIND, _EXPECTED, _marks, _find, _read)
