"""Resizing: interpolation when a picture grows, area means when it shrinks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.types import Plane


def resize(values: Plane, height: int, width: int) -> Plane:
    """values (h, w) at another size, float32: the mean of the area that a new pixel covers, or bilinear when enlarged."""
    from PIL import Image

    if values.shape == (height, width):
        return np.asarray(values, np.float32)
    how = Image.Resampling.BOX if _shrinks(values.shape, height, width) else Image.Resampling.BILINEAR
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.array(picture.resize((width, height), how), np.float32)


def resize_picture(rgb: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """rgb (h, w, 3) at another size, as `resize`."""
    from PIL import Image

    if rgb.shape[:2] == (height, width):
        return rgb
    how = Image.Resampling.BOX if _shrinks(rgb.shape, height, width) else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), how))


def _shrinks(shape: tuple[int, ...], height: int, width: int) -> bool:
    return height <= shape[0] and width <= shape[1]
