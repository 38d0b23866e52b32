"""Light above white: how bright what was clipped may have been, so that lamps blur into bright discs.

A clipped pixel says only that there was more. How much more is guessed from what is round it, and the guess is cautious:

    guessed = 4.3 * exp(-small / 0.45 - large / 2.4) * tiny^0.76 * (1 - surround)^1.52 * (0.26 + 0.74 * darkest^2)

`tiny`, `small`, `large` are the clipped shares of three windows (about 0.4, 1.5 and 6 % of the picture's diagonal wide),
`surround` the mean brightest channel of what is not clipped in the middle one, `darkest` the pixel's own darkest channel. So
a lamp at night, small and alone before something dark, is several times as bright as white; the sky, a window, white paper
and white walls barely brighter. Where a glow falls off round the clipped place, its slope is carried on into it:

    carried on = slope of the log just outside * way into the place, the less the darker the glow is

The log of the light is the root of the sum of their squares. Its hue is that of the brightest pixels beside it that are not
clipped. The numbers were fitted to synthetic lamps with and without halos, glints, petals, skies, pages, walls and suns.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from deeplens_dof.highlights.clipping import KNEE, clippedness_of

FloatImage = npt.NDArray[np.float32]
Map = npt.NDArray[np.float32]

STRENGTH, SMALL_SHARE, LARGE_SHARE = 4.3, 0.45, 2.4
TINY_POWER, SURROUND_POWER, DARKEST_SHARE = 0.76, 1.52, 0.26
LEAST_SLOPE, MOST_STOPS, GLOW_POWER = 0.02, 3.5, 1.5
ENERGY = 0.12  # what is guessed is a middle of logarithms; the mean of the light lies above it, the more the larger
_DIAGONAL_CELLS = 500  # of the grid on which the surroundings are looked at, whatever the size of the picture
_TINY, _SMALL, _LARGE = 1, 4, 15  # half widths of the windows, in cells
_RIM = 6  # half width of the window in which rims are looked for, in cells


def recover_highlights(rgb: FloatImage, amount: float, white: float = 1.0) -> FloatImage:
    """The picture with more light where it is clipped: (H, W, 3) float32 linear, not changed where it is below `white`.

    amount: 0 nothing (the input itself comes back) .. 1 all that is guessed; it scales the logarithm of the light.
    """
    if not (0 <= amount <= 1):
        raise ValueError(f"highlights is {amount!r}, expected a number from 0 to 1")
    if amount == 0:
        return rgb
    stops, hue = surroundings(rgb, white)
    out = rgb.copy()
    if stops.max() > 0:
        _raise(out, np.float32(white), np.float32(amount), stops, hue)
    return out


def surroundings(rgb: FloatImage, white: float = 1.0) -> tuple[Map, Map]:
    """On the grid: logs of the light that was clipped there (h, w, 2), guessed and carried on, and its hue (h, w, 3)."""
    height, width = rgb.shape[:2]
    shrink = max(1.0, math.hypot(height, width) / _DIAGONAL_CELLS)
    grid = (max(1, math.ceil(height / shrink)), max(1, math.ceil(width / shrink)))
    sums = np.zeros((*grid, 6), np.float32)
    _survey(rgb, np.float32(white), sums)
    if not sums[..., 0].any():
        return np.zeros((*grid, 2), np.float32), np.ones((*grid, 3), np.float32)
    fine = min(1.0, math.hypot(height, width) / _DIAGONAL_CELLS)
    tiny = _window(sums[..., :2], _TINY)
    small = _window(sums, max(_TINY, round(_SMALL * fine)))
    large = _window(sums[..., :2], max(_TINY, round(_LARGE * fine)))
    surround = small[..., 2] / np.maximum(small[..., 1], np.float32(1e-6))
    surround = np.where(small[..., 1] > 0, np.minimum(surround, 1), np.float32(1))
    guessed = (
        np.float32(STRENGTH)
        * np.exp(-_share(small) / SMALL_SHARE - _share(large) / LARGE_SHARE)
        * _share(tiny) ** TINY_POWER
        * (1 - surround) ** SURROUND_POWER
    )
    colour = small[..., 3:6]
    brightest = colour.max(2, keepdims=True)
    hue = np.where(brightest > 0, colour / np.maximum(brightest, np.float32(1e-9)), np.float32(1))
    stops = np.stack([guessed, _carried_on(sums)], 2)
    return stops.astype(np.float32), hue.astype(np.float32)


def _carried_on(sums: Map) -> Map:
    """The glow that falls off round a clipped place, carried on into it: log of the light, (h, w)."""
    share = _share(sums)
    seen = np.maximum(sums[..., 2] / np.maximum(sums[..., 1], np.float32(1e-6)), np.float32(0.01))
    inside, outside = _distance(share < 0.5), _distance(share >= 0.5)
    rims = []
    for low, high in ((0.0, 1.6), (2.2, 3.2)):  # cells from the clipped place
        ring = ((outside > low) & (outside <= high) & (sums[..., 1] > 0)).astype(np.float32)
        near = _window(np.stack([ring, ring * -np.log(seen)], 2), _RIM)
        rims.append(
            np.where(near[..., 0] > 1e-5, near[..., 1] / np.maximum(near[..., 0], np.float32(1e-9)), 0)
        )
    slope = np.maximum((rims[1] - rims[0]) / 1.9 - LEAST_SLOPE, 0)
    stops: Map = np.minimum(slope * np.minimum(inside, _RIM), MOST_STOPS) * np.exp(-GLOW_POWER * rims[1])
    return stops


def _share(window: Map) -> Map:
    """The clipped share of a window."""
    clipped, other = window[..., 0], window[..., 1]
    share: Map = np.clip(clipped / np.maximum(clipped + other, np.float32(1e-6)), 0, 1)
    return share


def _window(sums: Map, half: int) -> Map:
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


@njit(nogil=True, cache=True)
def _distance(there: npt.NDArray[np.bool_]) -> Map:
    """Cells to the nearest one that is there, 0 on those, by steps of 1 and sqrt(2) (Borgefors 1986)."""
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


@njit(nogil=True, cache=True)
def _survey(rgb: FloatImage, white: np.float32, sums: Map) -> None:
    """sums (h, w, 6): clipped pixels; others, their brightest channel, and their colour weighted by its square."""
    height, width = rgb.shape[:2]
    rows, columns = sums.shape[:2]
    for y in range(height):
        row = sums[y * rows // height]
        for x in range(width):
            r, g, b = rgb[y, x, 0] / white, rgb[y, x, 1] / white, rgb[y, x, 2] / white
            brightest = max(r, g, b)
            cell = row[x * columns // width]
            clipped = clippedness_of(brightest, np.float32(1))
            weight = (1 - clipped) * brightest * brightest
            cell[0] += clipped
            cell[1] += 1 - clipped
            cell[2] += (1 - clipped) * brightest
            cell[3] += weight * r
            cell[4] += weight * g
            cell[5] += weight * b


@njit(nogil=True, cache=True)
def _raise(rgb: FloatImage, white: np.float32, amount: np.float32, stops: Map, hue: Map) -> None:
    """Gives the clipped channels their light, in place."""
    height, width = rgb.shape[:2]
    rows, columns = stops.shape[:2]
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
            guessed = share * (
                a * stops[y0, x0, 0] + b * stops[y0, x1, 0] + c * stops[y1, x0, 0] + d * stops[y1, x1, 0]
            )
            carried_on = (
                a * stops[y0, x0, 1] + b * stops[y0, x1, 1] + c * stops[y1, x0, 1] + d * stops[y1, x1, 1]
            )
            log_light = math.sqrt(guessed * guessed + carried_on * carried_on)
            more = math.exp(amount * log_light * (1 + ENERGY * log_light)) - 1
            for k in range(3):
                clipped = clippedness_of(rgb[y, x, k], white)
                if clipped > 0:
                    tint = a * hue[y0, x0, k] + b * hue[y0, x1, k] + c * hue[y1, x0, k] + d * hue[y1, x1, k]
                    rgb[y, x, k] += np.float32(clipped * white * more * tint)
