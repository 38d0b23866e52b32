"""Depth that the caller gives: a map, an array, or the name of a depth file, made to fit its photo."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from deeplens_dof.depth.files import fit_to, read_depth_file
from deeplens_dof.imaging.array_like import as_array, is_array_like
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Photo


def given_depth(depth: Any, photo: Photo) -> InverseDepth:
    """Inverse depth of the photo's size.

    Args:
        depth: InverseDepth; an array (H, W) of relative inverse depth, larger is nearer; the path of a depth file; or a
            function that returns one of these for the photo. Relative depth beyond 0..1 is normalised to it.
        photo: to whose edges the borders of depth of another size are drawn.

    Raises:
        ValueError: another type, values that are no depth, or the depth of another frame.
        OSError: the file cannot be read.
    """
    given = _inverse_depth(depth(photo) if callable(depth) else depth)
    if given.unit == "relative" and not 0 <= given.values.min() <= given.values.max() <= 1:
        given = InverseDepth(given.normalised(), "relative")
    same_size = given.shape == (photo.height, photo.width)
    return given if same_size else fit_to(given, photo.height, photo.width, photo.seen_srgb8())


def _inverse_depth(depth: Any) -> InverseDepth:
    if isinstance(depth, InverseDepth):
        return depth
    if isinstance(depth, (str, os.PathLike)):
        return read_depth_file(depth)
    if not is_array_like(depth):
        raise ValueError(
            f"depth is of type {type(depth).__name__}, expected 'auto', 'predict', 'embedded', a depth file, an array, "
            "InverseDepth(values, unit) or a function that returns one of the last three"
        )
    values = as_array(depth)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"the depth is of type {values.dtype}, expected numbers; larger is nearer")
    plane = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    return InverseDepth(plane.astype(np.float32), "relative")
