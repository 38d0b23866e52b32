"""Highlight reconstruction by rule, without a network: a cautious estimate, so that lamps blur into bright discs.

A clipped pixel says only that there was more light. How much more is estimated from its surroundings:

    estimate = 4.3 * exp(-small / 0.45 - large / 2.4) * tiny^0.76 * (1 - surround)^1.52 * (0.26 + 0.74 * darkest^2)

`tiny`, `small`, `large` are the clipped shares of three windows (about 0.4, 1.5 and 6 % of the picture's diagonal wide),
`surround` is the mean brightest channel of the unclipped pixels in the middle window, `darkest` the pixel's own darkest
channel. So a lamp at night, small and alone before a dark background, becomes several times as bright as white; the sky, a
window, white paper and white walls barely brighter. Where a glow falls off around a clipped area, its slope is extrapolated:

    extrapolation = slope of the log just outside * distance into the area, reduced for a darker glow

The log of the light is the root of the sum of their squares. Its hue is that of the brightest unclipped pixels nearby. The
numbers were fitted to synthetic lamps with and without halos, glints, petals, skies, pages, walls and suns.

The product uses the network (`network.py`); this rule makes training examples and a row of the comparison tables.
"""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.highlights.clipping import KNEE, clipping_confidence_of
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Mask, Plane

STRENGTH, SMALL_SHARE, LARGE_SHARE = 4.3, 0.45, 2.4
TINY_POWER, SURROUND_POWER, DARKEST_SHARE = 0.76, 1.52, 0.26
LEAST_SLOPE, MOST_LOG, GLOW_POWER = 0.02, 3.5, 1.5
# The estimate is the median of a logarithm; the mean of the light lies above it, the more the larger the light.
ENERGY = 0.12
_DIAGONAL_CELLS = 500  # of the grid of local statistics, whatever the size of the picture
_TINY, _SMALL, _LARGE = 1, 4, 15  # half widths of the windows, in cells
_RIM = 6  # half width of the window that is searched for rims, in cells


def recover_highlights(rgb: Image, amount: float, white: float = 1.0) -> Image:
    """The picture with more light where it is clipped.

    Args:
        rgb: (H, W, 3) float32 linear light; values below `white` do not change.
        amount: 0 (the input itself is returned) .. 1 (the whole estimate); scales the logarithm of the light.
        white: where the picture clips, see `white_of`.

    Raises:
        ValueError: for an amount outside 0..1.
    """
    if not (0 <= amount <= 1):
        raise ValueError(f"highlights is {amount!r}, expected a number from 0 to 1")
    if amount == 0:
        return rgb
    logs, hue = _estimated(rgb, white)
    out = rgb.copy()
    if logs.max() > 0:
        _raise(out, np.float32(white), np.float32(amount), logs, hue)
    return out


def _estimated(rgb: Image, white: float) -> tuple[Array, Image]:
    """On the grid: logs of the clipped light (h, w, 2), estimate and extrapolation, and its hue (h, w, 3)."""
    height, width = rgb.shape[:2]
    shrink = max(1.0, math.hypot(height, width) / _DIAGONAL_CELLS)
    grid = (max(1, math.ceil(height / shrink)), max(1, math.ceil(width / shrink)))
    sums = np.zeros((*grid, 6), np.float32)
    _local_statistics(rgb, np.float32(white), sums)
    if not sums[..., 0].any():
        return np.zeros((*grid, 2), np.float32), np.ones((*grid, 3), np.float32)
    fine = min(1.0, math.hypot(height, width) / _DIAGONAL_CELLS)
    tiny = _window(sums[..., :2], _TINY)
    small = _window(sums, max(_TINY, round(_SMALL * fine)))
    large = _window(sums[..., :2], max(_TINY, round(_LARGE * fine)))
    surround = small[..., 2] / np.maximum(small[..., 1], np.float32(1e-6))
    surround = np.where(small[..., 1] > 0, np.minimum(surround, 1), np.float32(1))
    estimate = (
        np.float32(STRENGTH)
        * np.exp(-_share(small) / SMALL_SHARE - _share(large) / LARGE_SHARE)
        * _share(tiny) ** TINY_POWER
        * (1 - surround) ** SURROUND_POWER
    )
    colour = small[..., 3:6]
    brightest = colour.max(2, keepdims=True)
    hue = np.where(brightest > 0, colour / np.maximum(brightest, np.float32(1e-9)), np.float32(1))
    logs = np.stack([estimate, _extrapolated(sums)], 2)
    return logs.astype(np.float32), hue.astype(np.float32)


def _extrapolated(sums: Array) -> Plane:
    """The glow that falls off around a clipped area, extrapolated into it: log of the light, (h, w)."""
    share = _share(sums)
    seen = np.maximum(sums[..., 2] / np.maximum(sums[..., 1], np.float32(1e-6)), np.float32(0.01))
    inside, outside = _distance(share < 0.5), _distance(share >= 0.5)
    rims = []
    for low, high in ((0.0, 1.6), (2.2, 3.2)):  # cells from the clipped area
        ring = ((outside > low) & (outside <= high) & (sums[..., 1] > 0)).astype(np.float32)
        near = _window(np.stack([ring, ring * -np.log(seen)], 2), _RIM)
        rims.append(
            np.where(near[..., 0] > 1e-5, near[..., 1] / np.maximum(near[..., 0], np.float32(1e-9)), 0)
        )
    slope = np.maximum((rims[1] - rims[0]) / 1.9 - LEAST_SLOPE, 0)
    logs: Plane = np.minimum(slope * np.minimum(inside, _RIM), MOST_LOG) * np.exp(-GLOW_POWER * rims[1])
    return logs


def _share(window: Array) -> Plane:
    """The clipped share of a window."""
    clipped, other = window[..., 0], window[..., 1]
    share: Plane = np.clip(clipped / np.maximum(clipped + other, np.float32(1e-6)), 0, 1)
    return share


def _window(sums: Array, half: int) -> Array:
    """Mean over a window of 2 half + 1 cells, twice (a soft window), borders repeated. (h, w, C)."""
    for axis in (0, 1):
        for _ in range(2):
            pad = [(0, 0)] * 3
            pad[axis] = (half + 1, half)
            running = np.cumsum(np.pad(sums, pad, mode="edge"), axis=axis, dtype=np.float64)
            length = sums.shape[axis]
            upper = np.take(running, np.arange(2 * half + 1, 2 * half + 1 + length), axis=axis)
            lower = np.take(running, np.arange(length), axis=axis)
            sums = ((upper - lower) / (2 * half + 1)).astype(np.float32)
    return np.maximum(sums, 0)


@compiled()
def _distance(there: Mask) -> Plane:
    """Cells to the nearest marked cell, 0 on those, by steps of 1 and sqrt(2) (Borgefors 1986)."""
    height, width = there.shape
    far = np.full((height + 2, width + 2), np.float32(1e6))
    diagonal = np.float32(math.sqrt(2))
    one = np.float32(1)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if there[y - 1, x - 1]:
                far[y, x] = 0
            else:
                straight = min(far[y - 1, x], far[y, x - 1]) + one
                far[y, x] = min(straight, min(far[y - 1, x - 1], far[y - 1, x + 1]) + diagonal)
    for y in range(height, 0, -1):
        for x in range(width, 0, -1):
            straight = min(far[y + 1, x], far[y, x + 1]) + one
            slanted = min(far[y + 1, x + 1], far[y + 1, x - 1]) + diagonal
            far[y, x] = min(far[y, x], straight, slanted)
    return far[1:-1, 1:-1].copy()


@compiled()
def _local_statistics(rgb: Image, white: np.float32, sums: Array) -> None:
    """Adds to sums (h, w, 6): clipped pixels; other pixels, their brightest channel, their colour weighted by its square."""
    height, width = rgb.shape[:2]
    rows, columns = sums.shape[:2]
    for y in range(height):
        row = sums[y * rows // height]
        for x in range(width):
            r, g, b = rgb[y, x, 0] / white, rgb[y, x, 1] / white, rgb[y, x, 2] / white
            brightest = max(r, g, b)
            cell = row[x * columns // width]
            clipped = clipping_confidence_of(brightest, np.float32(1))
            weight = (1 - clipped) * brightest * brightest
            cell[0] += clipped
            cell[1] += 1 - clipped
            cell[2] += (1 - clipped) * brightest
            cell[3] += weight * r
            cell[4] += weight * g
            cell[5] += weight * b


@compiled()
def _raise(rgb: Image, white: np.float32, amount: np.float32, logs: Array, hue: Image) -> None:
    """Gives the clipped channels their light, in place."""
    height, width = rgb.shape[:2]
    rows, columns = logs.shape[:2]
    for y in range(height):
        v = (y + 0.5) * rows / height - 0.5
        y0 = min(max(int(math.floor(v)), 0), rows - 1)
        y1, dv = min(y0 + 1, rows - 1), min(max(v - y0, 0.0), 1.0)
        for x in range(width):
            if max(rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]) <= KNEE * white:
                continue
            u = (x + 0.5) * columns / width - 0.5
            x0 = min(max(int(math.floor(u)), 0), columns - 1)
            x1, du = min(x0 + 1, columns - 1), min(max(u - x0, 0.0), 1.0)
            a, b, c, d = (1 - dv) * (1 - du), (1 - dv) * du, dv * (1 - du), dv * du
            darkest = min(min(rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]) / white, np.float32(1))
            share = DARKEST_SHARE + (1 - DARKEST_SHARE) * darkest * darkest
            estimate = share * (
                a * logs[y0, x0, 0] + b * logs[y0, x1, 0] + c * logs[y1, x0, 0] + d * logs[y1, x1, 0]
            )
            extrapolation = (
                a * logs[y0, x0, 1] + b * logs[y0, x1, 1] + c * logs[y1, x0, 1] + d * logs[y1, x1, 1]
            )
            log_light = math.sqrt(estimate * estimate + extrapolation * extrapolation)
            more = math.exp(amount * log_light * (1 + ENERGY * log_light)) - 1
            for k in range(3):
                clipped = clipping_confidence_of(rgb[y, x, k], white)
                if clipped > 0:
                    tint = a * hue[y0, x0, k] + b * hue[y0, x1, k] + c * hue[y1, x0, k] + d * hue[y1, x1, k]
                    rgb[y, x, k] += np.float32(clipped * white * more * tint)
