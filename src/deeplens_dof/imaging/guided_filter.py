"""The guided filter: a coarse map takes the borders of a large picture.

The guided filter (He, Sun, Tang, "Guided Image Filtering", PAMI 2013, eq. 11-14 and 19-21 for a colour guide)
fits, in every window, the map as a linear function of the guide's three channels. The fast variant (He, Sun
2015) fits at the size of the coarse map and evaluates the interpolated coefficients at full size. Where a map
varies within a window, it follows the guide's texture too; depth borders therefore go through `depth.refine`,
which copies no texture.

Sizes are (height, width); pixel centres lie at +0.5, so that enlarging does not shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.resize import resize, resize_picture
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.runtime.threads import for_bands
from deeplens_dof.types import Array, Plane, Planes


def guided_upsample(
    values: Array, guide: npt.NDArray[Any], radius: int = 4, epsilon: float = 1e-3, threads: int | None = None
) -> Array:
    """A coarse map at the size of its guide, with the guide's borders.

    Values may leave their range a little where the guide is sharper.

    Args:
        values: (h, w) or (h, w, C).
        guide: (H, W, 3) uint8, or float32 of about 0..1.
        radius: of the fit's window, 1 or more, in pixels of `values`.
        epsilon: variance of the guide below which it counts as flat, above 0.
        threads: None for one per core.

    Returns:
        (H, W) or (H, W, C) float32.

    Raises:
        ValueError: for shapes that do not fit, or a radius or epsilon out of range.
    """
    values = np.asarray(values, np.float32)
    _check(values, guide, radius, epsilon)
    channels = values[..., None] if values.ndim == 2 else values
    height, width = channels.shape[:2]
    small = _planes(guide, height, width)
    mean, inverse = _guide_statistics(small, radius, epsilon)
    out = np.empty((*guide.shape[:2], channels.shape[2]), np.float32)
    scale = np.float32(1 / 255 if guide.dtype == np.uint8 else 1)
    for channel in range(channels.shape[2]):
        fitted = _coefficients(small, np.ascontiguousarray(channels[..., channel]), mean, inverse, radius)
        target = out[..., channel]

        def work(first: int, last: int, fitted: Planes = fitted, target: Plane = target) -> None:
            _evaluate_rows(target, first, last, guide, fitted, scale)

        for_bands(work, guide.shape[0], threads)
    return out[..., 0] if values.ndim == 2 else out


def guided_filter(
    values: Array,
    guide: npt.NDArray[Any],
    radius: int = 8,
    epsilon: float = 1e-3,
    subsampling: int = 1,
    threads: int | None = None,
) -> Array:
    """A map smoothed within the borders of a guide of the same size.

    Args:
        values: (H, W) or (H, W, C).
        guide: (H, W, 3) uint8, or float32 of about 0..1.
        radius: of the window in pixels.
        epsilon: variance of the guide below which it counts as flat, above 0.
        subsampling: 1 is the exact filter, 4 the fast one, fitted at a quarter of the size.
        threads: None for one per core.

    Raises:
        ValueError: as `guided_upsample`.
    """
    values = np.asarray(values, np.float32)
    if values.shape[:2] != guide.shape[:2]:
        raise ValueError(
            f"the map is {values.shape[:2]} and its guide {guide.shape[:2]} (height, width), expected one"
        )
    height, width = (max(1, round(side / subsampling)) for side in values.shape[:2])
    if values.ndim == 2:
        small = resize(values, height, width)
    else:
        small = np.stack([resize(values[..., c], height, width) for c in range(values.shape[2])], axis=-1)
    return guided_upsample(small, guide, max(1, round(radius / subsampling)), epsilon, threads)


def _check(values: Array, guide: npt.NDArray[Any], radius: int, epsilon: float) -> None:
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(
            f"the map has shape {values.shape}, expected (height, width) or (height, width, channels)"
        )
    if (
        guide.ndim != 3
        or guide.shape[2] != 3
        or 0 in guide.shape
        or guide.dtype not in (np.uint8, np.float32)
    ):
        raise ValueError(
            f"the guide is {guide.dtype} {guide.shape}, expected uint8 or float32 (height, width, 3)"
        )
    if radius < 1:
        raise ValueError(f"the guided filter's radius is {radius}, expected at least 1 pixel")
    if not epsilon > 0:
        raise ValueError(f"the guided filter's epsilon is {epsilon}, expected a number above 0")


def _planes(guide: npt.NDArray[Any], height: int, width: int) -> Planes:
    if guide.dtype == np.uint8:
        return np.ascontiguousarray(
            resize_picture(guide, height, width).transpose(2, 0, 1), np.float32
        ) / np.float32(255)
    return np.stack([resize(guide[..., c], height, width) for c in range(3)])


def _guide_statistics(guide: Planes, radius: int, epsilon: float) -> tuple[Planes, Planes]:
    """Of every window the mean (3, h, w), and the inverse covariance with epsilon on its diagonal, (6, h, w) as rr rg rb
    gg gb bb."""
    mean = _box_mean(guide, radius)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    covariance = _box_mean(np.stack([guide[i] * guide[j] for i, j in pairs]), radius)
    for k, (i, j) in enumerate(pairs):
        covariance[k] -= mean[i] * mean[j]
    return mean, _inverse(covariance, np.float32(epsilon))


def _coefficients(guide: Planes, values: Plane, mean: Planes, inverse: Planes, radius: int) -> Planes:
    """Slopes by red, green, blue and the offset, averaged over the windows that hold a pixel: (4, h, w)."""
    value_mean = _box_mean(values[None], radius)[0]
    joint = _box_mean(guide * values, radius) - mean * value_mean
    rr, rg, rb, gg, gb, bb = inverse
    red = rr * joint[0] + rg * joint[1] + rb * joint[2]
    green = rg * joint[0] + gg * joint[1] + gb * joint[2]
    blue = rb * joint[0] + gb * joint[1] + bb * joint[2]
    offset = value_mean - red * mean[0] - green * mean[1] - blue * mean[2]
    means: Planes = _box_mean(np.stack([red, green, blue, offset]), radius)
    return means


@compiled()
def _box_mean(planes: Planes, radius: int) -> Planes:
    """Mean over the square window of that radius, cut at the border; running sums are float64."""
    count, height, width = planes.shape
    out = np.empty((count, height, width), np.float32)
    for n in range(count):
        rows = np.empty((height, width), np.float32)
        for y in range(height):
            total = 0.0
            for x in range(min(radius, width)):
                total += planes[n, y, x]
            for x in range(width):
                if x + radius < width:
                    total += planes[n, y, x + radius]
                if x - radius - 1 >= 0:
                    total -= planes[n, y, x - radius - 1]
                rows[y, x] = total / (min(width, x + radius + 1) - max(0, x - radius))
        column = np.zeros(width, np.float64)
        for y in range(min(radius, height)):
            for x in range(width):
                column[x] += rows[y, x]
        for y in range(height):
            if y + radius < height:
                for x in range(width):
                    column[x] += rows[y + radius, x]
            if y - radius - 1 >= 0:
                for x in range(width):
                    column[x] -= rows[y - radius - 1, x]
            size = min(height, y + radius + 1) - max(0, y - radius)
            for x in range(width):
                out[n, y, x] = column[x] / size
    return out


@compiled()
def _inverse(matrix: Planes, diagonal: np.float32) -> Planes:
    """Inverse of the symmetric 3x3 matrices plus `diagonal` * identity, both stored as rr rg rb gg gb bb."""
    _, height, width = matrix.shape
    out = np.empty_like(matrix)
    for y in range(height):
        for x in range(width):
            rr = np.float64(matrix[0, y, x]) + diagonal
            rg, rb = np.float64(matrix[1, y, x]), np.float64(matrix[2, y, x])
            gg, gb = np.float64(matrix[3, y, x]) + diagonal, np.float64(matrix[4, y, x])
            bb = np.float64(matrix[5, y, x]) + diagonal
            c_rr, c_rg, c_rb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
            scale = 1.0 / (rr * c_rr + rg * c_rg + rb * c_rb)
            out[0, y, x] = c_rr * scale
            out[1, y, x] = c_rg * scale
            out[2, y, x] = c_rb * scale
            out[3, y, x] = (rr * bb - rb * rb) * scale
            out[4, y, x] = (rg * rb - rr * gb) * scale
            out[5, y, x] = (rr * gg - rg * rg) * scale
    return out


@compiled()
def _evaluate_rows(
    out: Plane, first: int, last: int, guide: npt.NDArray[Any], coefficients: Planes, scale: np.float32
) -> None:
    """Writes rows first..last of out (H, W): the coefficients (4, h, w), interpolated bilinearly, applied to the guide."""
    height, width = out.shape
    _, rows, columns = coefficients.shape
    line = np.empty((4, columns), np.float32)
    for y in range(first, last):
        v = min(max((y + 0.5) * rows / height - 0.5, 0.0), rows - 1.0)
        top = int(v)
        below = min(top + 1, rows - 1)
        down = np.float32(v - top)
        for k in range(4):
            for u in range(columns):
                line[k, u] = coefficients[k, top, u] + down * (
                    coefficients[k, below, u] - coefficients[k, top, u]
                )
        for x in range(width):
            h = min(max((x + 0.5) * columns / width - 0.5, 0.0), columns - 1.0)
            left = int(h)
            right = min(left + 1, columns - 1)
            across = np.float32(h - left)
            red = line[0, left] + across * (line[0, right] - line[0, left])
            green = line[1, left] + across * (line[1, right] - line[1, left])
            blue = line[2, left] + across * (line[2, right] - line[2, left])
            offset = line[3, left] + across * (line[3, right] - line[3, left])
            colour = red * guide[y, x, 0] + green * guide[y, x, 1] + blue * guide[y, x, 2]
            out[y, x] = colour * scale + offset
