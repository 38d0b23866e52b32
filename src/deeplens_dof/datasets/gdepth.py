"""GDepth and Dynamic Depth: depth in a JPEG through the product's own reader, proportional to 1/m."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeplens_dof.datasets.sample import DatasetError, DepthUnit, Map, Picture


def depth_of_jpeg(path: Path) -> tuple[Picture, Map, DepthUnit]:
    """The upright photo as sRGB uint8, its inverse depth at the map's own size, and the unit.

    Raises DatasetError for a photo without complete depth metadata, PhotoError for one that cannot be read.
    """
    from deeplens_dof.photo.read import read_with_map

    photo, found = read_with_map(path)
    if photo.depth_problem is not None:
        raise DatasetError(f"{path} has {photo.depth_problem}")
    if found is None:
        raise DatasetError(f"{path} holds no depth map, expected a JPEG with GDepth:Data in its XMP")
    unit: DepthUnit = "1/m" if found.in_metres else "1/unit"
    return np.ascontiguousarray(photo.srgb8()), found.inverse(), unit
