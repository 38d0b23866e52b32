"""The surfaces of one window: a tile and everything that can reach it. Compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.layers.inpaint import Occluded
from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.lens_blur.layers.unmix import unmix_pixel
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Index, Marks, Plane

_LEAST_ALPHA = 0.01
_BACK_REACH = 3  # pixels around a mixed pixel in which its back is more accurate than the coarse inpainting


class Window(NamedTuple):
    """The surfaces of a tile and of everything that can reach it: front, back and second, the one behind both.

    Arrays are flat, one entry a cell, row by row, and may be longer than the window.
    """

    top: int  # cell of the level; a window may extend beyond the picture, whose border is repeated
    left: int
    rows: int
    columns: int
    surfaces: Array  # (3 * 4 * cells,), premultiplied red, green, blue and alpha of front, back and second
    coc: Array  # (3, cells), signed CoC in photo px, NOTHING where there is no surface
    soft: Marks  # (cells,), 1 where the front lets light pass
    through: Array  # (4 * cells,), where soft: the share of light that passes the front, four times


@compiled(fastmath=True)
def surface_of(window: Window, number: int) -> Array:
    """Front (0), back (1) or second (2) of a window, (4 * cells,)."""
    cells = window.rows * window.columns
    return window.surfaces[4 * cells * number : 4 * cells * (number + 1)]


@compiled(fastmath=True)
def _put_front(front: Array, through: Array, soft: Marks, p: int, colour: Array, alpha: np.float32) -> None:
    """Writes the front of cell p."""
    soft[p] = alpha <= 1 - _LEAST_ALPHA
    if not soft[p]:
        alpha = np.float32(1)
    for c in range(3):
        front[4 * p + c] = alpha * colour[c]
    front[4 * p + 3] = alpha
    if soft[p]:
        for c in range(4):
            through[4 * p + c] = 1 - alpha


@compiled(fastmath=True)
def _put_opaque(surface: Array, p: int, colour: Array) -> None:
    """Writes an opaque cell p."""
    for c in range(3):
        surface[4 * p + c] = colour[c]
    surface[4 * p + 3] = 1


@compiled(fastmath=True)
def _offer_back(
    donor: Index,  # (cells,), written: the nearest mixed pixel whose back continues behind this one, or -1
    front_coc: Array,  # (cells,)
    back_coc: Array,  # (cells,)
    j: int,
    i: int,
    rows: int,
    columns: int,
) -> None:
    """Offers the back of the mixed pixel (j, i) to the pixels around it that hide it; the nearest offer is kept."""
    p = j * columns + i
    for dj in range(-_BACK_REACH, _BACK_REACH + 1):
        for di in range(-_BACK_REACH, _BACK_REACH + 1):
            jj, ii = j + dj, i + di
            if jj < 0 or ii < 0 or jj >= rows or ii >= columns:
                continue
            q = jj * columns + ii
            if back_coc[q] != NOTHING or back_coc[p] >= front_coc[q] - STEP_PX:
                continue
            if donor[q] >= 0:
                oj, oi = donor[q] // columns, donor[q] % columns
                if (oj - jj) ** 2 + (oi - ii) ** 2 <= dj * dj + di * di:
                    continue
            donor[q] = p


@compiled(fastmath=True)
def unmix_window(
    rgb: Image,  # (H, W, 3)
    coc: Plane,  # (H, W)
    steps: Marks,  # (H, W)
    occluded: Occluded,
    window: Window,
    donor: Index,  # (cells,), scratch, see `_offer_back`
) -> None:
    """Writes front and back of a window of the photo itself: pixels on a depth step unmixed, others with their occluded
    surface."""
    occluded_colour, occluded_coc, factor = occluded.colour, occluded.coc, occluded.factor
    top, left, rows, columns = window.top, window.left, window.rows, window.columns
    front, back = surface_of(window, 0), surface_of(window, 1)
    front_coc, back_coc, soft, through = window.coc[0], window.coc[1], window.soft, window.through
    height, width = coc.shape
    front_colour, back_colour = np.empty(3, np.float32), np.empty(3, np.float32)
    for j in range(rows):
        y = min(max(top + j, 0), height - 1)
        for i in range(columns):
            x = min(max(left + i, 0), width - 1)
            p = j * columns + i
            donor[p] = -1
            if steps[y, x]:
                alpha, depth, depth_behind = unmix_pixel(rgb, coc, steps, y, x, front_colour, back_colour)
                if depth_behind != NOTHING:
                    _put_front(front, through, soft, p, front_colour, alpha)
                    _put_opaque(back, p, back_colour)
                    front_coc[p] = depth if alpha >= _LEAST_ALPHA else NOTHING
                    back_coc[p] = depth_behind
                    continue
            _put_front(front, through, soft, p, rgb[y, x], np.float32(1))
            front_coc[p], back_coc[p] = coc[y, x], NOTHING
    for j in range(rows):
        for i in range(columns):
            if back_coc[j * columns + i] != NOTHING:
                _offer_back(donor, front_coc, back_coc, j, i, rows, columns)
    for j in range(rows):
        y = min(max(top + j, 0), height - 1) // factor
        for i in range(columns):
            x = min(max(left + i, 0), width - 1) // factor
            p = j * columns + i
            if occluded_coc[y, x] == NOTHING or back_coc[p] != NOTHING:
                continue
            q = donor[p]
            if q >= 0:
                for c in range(4):
                    back[4 * p + c] = back[4 * q + c]
                back_coc[p] = back_coc[q]
            elif occluded_coc[y, x] < front_coc[p] - STEP_PX:
                _put_opaque(back, p, occluded_colour[y, x])
                back_coc[p] = occluded_coc[y, x]


@compiled(fastmath=True)
def copy_layers(layers: Layers, occluded: Occluded, window: Window) -> None:
    """Writes front and back of a window of layers; `occluded` has cells of the same size."""
    occluded_colour, occluded_coc = occluded.colour, occluded.coc
    top, left, rows, columns = window.top, window.left, window.rows, window.columns
    front, back = surface_of(window, 0), surface_of(window, 1)
    front_coc, back_coc, soft, through = window.coc[0], window.coc[1], window.soft, window.through
    height, width = layers.front_coc.shape
    for j in range(rows):
        y = min(max(top + j, 0), height - 1)
        for i in range(columns):
            x = min(max(left + i, 0), width - 1)
            p = j * columns + i
            alpha = layers.alpha[y, x]
            _put_front(front, through, soft, p, layers.front[y, x], alpha)
            front_coc[p] = layers.front_coc[y, x] if alpha >= _LEAST_ALPHA else NOTHING
            back_coc[p] = NOTHING
            if layers.back_coc[y, x] != NOTHING:
                _put_opaque(back, p, layers.back[y, x])
                back_coc[p] = layers.back_coc[y, x]
            elif occluded_coc[y, x] != NOTHING and occluded_coc[y, x] < layers.front_coc[y, x] - STEP_PX:
                _put_opaque(back, p, occluded_colour[y, x])
                back_coc[p] = occluded_coc[y, x]


@compiled(fastmath=True)
def put_second(occluded: Occluded, factor: int, window: Window) -> None:
    """Writes the second surface of a window: the nearer one of the occluded surfaces that is farther than front and back.

    factor: photo pixels along a cell's side.
    """
    occluded_colour, occluded_coc, ratio = occluded.colour, occluded.coc, occluded.factor // factor
    second_colour, second_coc = occluded.second_colour, occluded.second_coc
    top, left, rows, columns = window.top, window.left, window.rows, window.columns
    second, front_coc, back_coc, own_coc = surface_of(window, 2), window.coc[0], window.coc[1], window.coc[2]
    last_y, last_x = occluded_coc.shape[0] - 1, occluded_coc.shape[1] - 1
    for j in range(rows):
        y = min(max((top + j) // ratio, 0), last_y)
        for i in range(columns):
            x = min(max((left + i) // ratio, 0), last_x)
            p = j * columns + i
            own_coc[p] = NOTHING
            if back_coc[p] == NOTHING:
                continue
            nearest = back_coc[p] if front_coc[p] == NOTHING else min(back_coc[p], front_coc[p])
            limit = nearest - STEP_PX
            if NOTHING < occluded_coc[y, x] < limit:
                _put_opaque(second, p, occluded_colour[y, x])
                own_coc[p] = occluded_coc[y, x]
            elif NOTHING < second_coc[y, x] < limit:
                _put_opaque(second, p, second_colour[y, x])
                own_coc[p] = second_coc[y, x]


@compiled(fastmath=True)
def contrast(window: Window) -> np.float32:
    """How many times brighter than the mean the brightest cell of the front is."""
    front, cells = surface_of(window, 0), window.rows * window.columns
    total, most = np.float32(0), np.float32(0)
    for p in range(cells):
        light = front[4 * p] + front[4 * p + 1] + front[4 * p + 2]
        total += light
        most = max(most, light)
    return most * cells / max(total, np.float32(1e-6))


@compiled(fastmath=True)
def soften(
    window: Window,
    least_px: np.float32,
    widest_px: np.float32,
    times: Marks,  # (cells,), incremented where a cell is softened; `make_segments` reduces the CoC there in exchange
    softened: Array,  # (4 * cells,), scratch
) -> None:
    """Smooths the colour of unbroken fronts over 3 x 3 cells (1 2 1) where their CoC radius is at least `least_px`.

    A lens point stands for a piece of the lens, so each of its views is a little out of focus too; without that a bright
    spot would show the lens points one by one. Neighbours on one surface differ by at most `widest_px` of CoC.
    """
    rows, columns = window.rows, window.columns
    front, front_coc, soft = surface_of(window, 0), window.coc[0], window.soft
    for j in range(1, rows - 1):
        for i in range(1, columns - 1):
            p = j * columns + i
            here = front_coc[p]
            softened[4 * p + 3] = 0
            if abs(here) < least_px or here == NOTHING or soft[p]:
                continue
            unbroken = True
            for q in (p - columns, p - 1, p + 1, p + columns):
                unbroken = unbroken and not soft[q] and abs(front_coc[q] - here) <= widest_px
            for q in (p - columns - 1, p - columns + 1, p + columns - 1, p + columns + 1):
                unbroken = unbroken and not soft[q] and abs(front_coc[q] - here) <= 2 * widest_px
            if not unbroken:
                continue
            up, at, down = 4 * (p - columns), 4 * p, 4 * (p + columns)
            for c in range(4):
                total = 4 * front[at + c] + 2 * (
                    front[at - 4 + c] + front[at + 4 + c] + front[up + c] + front[down + c]
                )
                total += front[up - 4 + c] + front[up + 4 + c] + front[down - 4 + c] + front[down + 4 + c]
                softened[at + c] = np.float32(0.0625) * total
    for j in range(1, rows - 1):
        for i in range(1, columns - 1):
            p = j * columns + i
            if softened[4 * p + 3] > 0:
                times[p] += 1
                for c in range(4):
                    front[4 * p + c] = softened[4 * p + c]
