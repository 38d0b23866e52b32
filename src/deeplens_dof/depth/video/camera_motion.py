"""Motion of the whole picture from one frame to the next: pan, zoom, roll and shake, as one affine map.

Lucas and Kanade's method from coarse to fine, with weights that exclude objects with a motion of their own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.resize import resize

Map = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]

_LEVELS_PX = (32, 64, 128, 256)  # long side
_STEPS = 8
_OUTLIER = 8.0  # codes: a difference of so many has half its weight
_BETTER = 0.9  # of the difference without a motion: above that there is none
_LARGEST = 0.25  # of the long side, or of the scale
STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def camera_motion(now: Map, before: Map) -> Affine:
    """(2, 3): the position in `before` of a point (x, y, 1) of `now`; `STILL` where no common motion explains the change.

    now, before: (H, W) in codes 0..255, of one size. Points are relative to the centre, in units of the long side.
    """
    motion = STILL.copy()
    height, width = now.shape
    long_px = max(height, width)
    differences = [0.0, 0.0]
    for level in _LEVELS_PX:
        scale = min(1.0, level / long_px)
        size = max(8, round(height * scale)), max(8, round(width * scale))
        a, b = (resize(picture, *size).astype(np.float64) for picture in (now, before))
        x, y = points(*size)
        slopes = np.gradient(b, axis=1), np.gradient(b, axis=0)
        for _ in range(_STEPS):
            off, use, place = _difference(a, b, motion, x, y)
            weight = use / (1 + (off / _OUTLIER) ** 2)
            gx, gy = (_bilinear(slope, *place) * max(size) for slope in slopes)
            terms = np.stack([gx, gy] if level == _LEVELS_PX[0] else [gx, gy, gx * x, gx * y, gy * x, gy * y])
            rows = terms.reshape(len(terms), -1)
            square = (rows * weight.ravel()) @ rows.T
            square[np.diag_indices_from(square)] += 1e-6 * np.trace(square) / len(square) + 1e-9
            step = np.linalg.solve(square, (rows * weight.ravel()) @ -off.ravel())
            motion[:, 2] += step[:2]
            if len(step) > 2:
                motion[:, :2] += step[2:].reshape(2, 2)
            if np.abs(step).max() < 0.02 / max(size):
                break
        differences = [
            float(np.abs(off[use]).mean()) if use.any() else 255.0
            for off, use, _ in (_difference(a, b, candidate, x, y) for candidate in (STILL, motion))
        ]
    if np.abs(motion - STILL).max() > _LARGEST or differences[1] > _BETTER * differences[0]:
        return STILL
    return motion


def moved(motion: Affine, shape: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """(H, W): flat index of each pixel's nearest pixel in the previous frame, and whether it was inside that frame."""
    height, width = shape
    x, y = points(height, width)
    u, v = _places(motion, x, y, shape)
    column, row = np.rint(u).astype(np.intp), np.rint(v).astype(np.intp)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1), inside


def largest_px(motion: Affine, shape: tuple[int, int]) -> float:
    """Largest displacement of a corner, in px."""
    height, width = shape
    x, y = (axis[:: max(1, height - 1), :: max(1, width - 1)] for axis in points(height, width))
    u, v = _places(motion, x, y, shape)
    still_u, still_v = _places(STILL, x, y, shape)
    return float(np.hypot(u - still_u, v - still_v).max())


def points(height: int, width: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """x and y of the pixels, (H, W) each, relative to the centre, in units of the long side."""
    long_px = max(height, width)
    y, x = np.mgrid[:height, :width]
    return (x + 0.5 - width / 2) / long_px, (y + 0.5 - height / 2) / long_px


def _places(
    motion: Affine, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fractional column and row of the points in the previous frame."""
    height, width = shape
    long_px = max(height, width)
    u = (motion[0, 0] * x + motion[0, 1] * y + motion[0, 2]) * long_px + width / 2 - 0.5
    v = (motion[1, 0] * x + motion[1, 1] * y + motion[1, 2]) * long_px + height / 2 - 0.5
    return u, v


def _difference(
    now: npt.NDArray[np.float64],
    before: npt.NDArray[np.float64],
    motion: Affine,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
) -> tuple[
    npt.NDArray[np.float64], npt.NDArray[np.bool_], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
]:
    """`before`, moved, minus `now`; where it is known; and the positions."""
    height, width = now.shape
    u, v = _places(motion, x, y, (height, width))
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    return (_bilinear(before, u, v) - now) * inside, inside, (u, v)


def _bilinear(
    values: npt.NDArray[np.float64], u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    height, width = values.shape
    u, v = np.clip(u, 0, width - 1.001), np.clip(v, 0, height - 1.001)
    j, i = u.astype(np.intp), v.astype(np.intp)
    u, v = u - j, v - i
    above = values[i, j] * (1 - u) + values[i, j + 1] * u
    below = values[i + 1, j] * (1 - u) + values[i + 1, j + 1] * u
    return np.asarray(above * (1 - v) + below * v)
