"""MegaDepth (Li and Snavely, CVPR 2018): landmarks, structure from motion, depth up to one scale per scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deeplens_dof.datasets.layout import FoundSamples, Layout, Role, paired
from deeplens_dof.datasets.sample import (
    PHOTO_SUFFIXES,
    DatasetError,
    Sample,
    SampleFiles,
    from_metres,
    read_rgb,
    sample,
)
from deeplens_dof.runtime.errors import install_extra

_KIND = "megadepth"
_EXPECTED = "imgs/NAME.jpg and depths/NAME.h5 (an array `depth`) in every dense*/ folder, at any depth"
_ROLES = (Role("imgs", PHOTO_SUFFIXES), Role("depths", (".h5",)))


def _roots(folder: Path) -> list[Path]:
    roots = [
        path.parent for path in sorted((folder, *folder.rglob("*"))) if path.name == "imgs" and path.is_dir()
    ]
    return [root for root in roots if (root / "depths").is_dir()]


def _find(folder: Path) -> FoundSamples:
    _h5py(folder)
    found = FoundSamples()
    for root in _roots(folder):
        prefix = root.relative_to(folder).as_posix()
        part = paired(_KIND, root, _ROLES, "" if prefix == "." else f"{prefix}/")
        found.entries.extend(part.entries)
        found.problems.extend(part.problems)
    return found


def _h5py(folder: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DatasetError(
            f"the depth maps of {folder} are HDF5, and h5py is not installed; run {install_extra('hdf5')}"
        ) from error
    return h5py


def _read(entry: SampleFiles) -> Sample:
    photo, depth = entry.paths
    try:
        with _h5py(depth).File(depth, "r") as file:
            values = np.asarray(file["depth"], np.float32)
    except (OSError, KeyError) as error:
        raise DatasetError(
            f"{depth} cannot be read as HDF5 with an array `depth` ({error}); fetch it again"
        ) from error
    if values.ndim != 2:
        raise DatasetError(f"{depth} holds `depth` of shape {values.shape}, expected (height, width)")
    inverse, known = from_metres(values)  # 0: not reconstructed; below 0: ordinal labels, which are not depth
    return sample(entry.name, read_rgb(photo), inverse, known, "1/unit")


MEGADEPTH_LAYOUT = Layout(_KIND, _EXPECTED, lambda folder: bool(_roots(folder)), _find, _read)
