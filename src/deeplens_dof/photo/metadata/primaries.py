"""Primaries of linear light: from those of a profile or of EXR chromaticities to those of sRGB (Rec. 709).

Colorants are XYZ of red, green and blue under D50, as in ICC profiles; white points are adapted with Bradford's cone
responses (ICC.1:2022, annex E).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deeplens_dof.types import Image

Matrix = npt.NDArray[np.float64]

REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)  # x, y of red, green, blue and white
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_BAND_ROWS = 256


def colorants_of(chromaticities: Sequence[float]) -> Matrix | None:
    """XYZ (D50) of red, green and blue, (3, 3), from the x and y of them and of white; None when they span no gamut."""
    xy = np.asarray(chromaticities, np.float64).reshape(4, 2)
    if not np.isfinite(xy).all() or (np.abs(xy[:, 1]) < 1e-6).any():
        return None
    xyz = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    if abs(np.linalg.det(xyz[:3])) < 1e-6:
        return None
    light = np.linalg.solve(xyz[:3].T, xyz[3])
    cones = _BRADFORD @ xyz[3]
    if (np.abs(cones) < 1e-6).any():
        return None
    adapted = np.linalg.solve(_BRADFORD, np.diag((_BRADFORD @ _D50) / cones) @ _BRADFORD)
    colorants: Matrix = (light[:, None] * xyz[:3]) @ adapted.T
    return colorants


def to_rec709(linear: Image, colorants: Matrix) -> Image:
    """Linear light (H, W, 3) of these colorants in Rec. 709; colours outside its gamut become negative."""
    return _multiplied(linear, np.asarray(colorants, np.float64) @ np.linalg.inv(_rec709()))


def from_rec709(linear: Image, colorants: Matrix) -> Image:
    """The inverse of `to_rec709`."""
    return _multiplied(linear, _rec709() @ np.linalg.inv(np.asarray(colorants, np.float64)))


def _rec709() -> Matrix:
    own = colorants_of(REC709)
    assert own is not None
    return own


def _multiplied(linear: Image, wide: Matrix) -> Image:
    matrix = wide.astype(np.float32)
    if np.abs(matrix - np.eye(3)).max() < 1e-3:
        return linear
    out = np.empty_like(linear)
    for top in range(0, len(linear), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        np.matmul(linear[band], matrix, out=out[band])
    return out
