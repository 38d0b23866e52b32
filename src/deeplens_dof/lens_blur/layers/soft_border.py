"""The two surfaces round the border of a subject whose soft matte is known: hair, fur, leaves.

A depth map has one depth for every pixel, and its step lies some pixels off. The matte knows better: where it is 1 the
subject is alone, where it is 0 what lies behind, and between them both are seen. Colours and circles of confusion of both are
taken from the surely known pixels nearby, from ever larger windows (a push-pull pyramid, Burt and Adelson 1983) on a small
grid; at full size the mixture is then solved for them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.lens_blur.layers.unmix import depth_steps, unmix_pixel
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.runtime.threads import for_bands
from deeplens_dof.types import Array, Image, Marks, Mask, Plane

GRID_PX = 768  # the longer side of the small grid, at most
# Of the long side: how far from the matte's border depth may be wrong.
DOUBT = 0.006
COVERED, OPEN = np.float32(0.98), np.float32(0.02)  # of the matte: the subject alone, none of it
# Of a grid cell: a share of sure pixels from which it counts as known.
_ENOUGH = 0.25
# By how much the solved colours may leave the range of the known ones nearby, in linear light.
_LEEWAY = np.float32(0.03)


class Sides(NamedTuple):
    """The surfaces on both sides of the border, on the small grid: colour and CoC of the subject, of what is around it, and
    where depth is in doubt. (h, w, 4), (h, w, 4) and (h, w), 0 or 1. factor: pixels along a cell's side.
    """

    factor: int
    subject: Array
    around: Array
    doubt: Plane


class SoftBorders(NamedTuple):
    """The photo as layers at full size, and the CoC that its pixels show: the larger one where there are two, (H, W)."""

    layers: Layers
    coc_px: Plane


def soft_borders(rgb: Image, coc_px: Plane, matte: Plane, threads: int | None = None) -> SoftBorders | None:
    """Unmixes a photo along its matte, and along its depth steps elsewhere.

    Args:
        rgb: (H, W, 3) linear light.
        coc_px: (H, W) signed CoC radii in px.
        matte: (H, W), 0..1, of the subject.
        threads: None is one per core.

    Returns:
        The layers; None where the matte has no border.
    """
    sides = _sides(rgb, coc_px, matte)
    if sides is None:
        return None
    height, width = coc_px.shape
    layers = Layers(
        1,
        rgb.copy(),
        coc_px.copy(),
        np.ones((height, width), np.float32),
        np.zeros((height, width, 3), np.float32),
        np.full((height, width), NOTHING),
    )
    seen, steps = coc_px.copy(), depth_steps(coc_px)

    def work(first: int, last: int) -> None:
        _fill(rgb, coc_px, matte, steps, sides, layers, seen, first, last)

    for_bands(work, height, threads)
    return SoftBorders(layers, seen)


def _sides(rgb: Image, coc_px: Plane, matte: Plane) -> Sides | None:
    """Both surfaces on the small grid; None where one of them is nowhere."""
    height, width = coc_px.shape
    factor = max(1, math.ceil(max(height, width) / GRID_PX))
    size = -(-height // factor), -(-width // factor)
    sums = np.zeros((2, *size, 5), np.float32)
    edges = np.zeros(size, np.uint8)
    _collect(rgb, coc_px, matte, factor, sums, edges)
    reach = max(1, math.ceil(DOUBT * max(size)))
    doubt = _grown(edges > 0, reach)
    for side in sums:
        side[doubt] = 0
    known = sums[..., 4] > _ENOUGH * factor * factor
    if not edges.any() or not known.any((1, 2)).all():
        return None
    subject, around = (_continued(side) for side in sums)
    return Sides(factor, subject, around, doubt.astype(np.float32))


def _grown(marked: Mask, cells: int) -> Mask:
    """The marked cells and those next to them, `cells` times."""
    for _ in range(cells):
        padded = np.pad(marked, 1)
        marked = marked | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return marked


def _continued(sums: Array) -> Array:
    """Means of (h, w, 5) sums with their weight last, continued to the cells without any: (h, w, 4)."""
    levels = [sums]
    while max(levels[-1].shape[:2]) > 2:
        levels.append(_halved(levels[-1]))
    weight = np.maximum(levels[-1][..., 4:], np.float32(1e-6))
    found = np.asarray(levels[-1][..., :4] / weight, np.float32)
    for level in levels[-2::-1]:
        found = _doubled(found, level.shape[0], level.shape[1])
        weight = level[..., 4:]
        known = np.minimum(weight, np.float32(1))
        means = level[..., :4] / np.maximum(weight, np.float32(1e-6))
        found = np.asarray(known * means + (1 - known) * found, np.float32)
    return np.ascontiguousarray(found, np.float32)


def _halved(level: Array) -> Array:
    """Sums of 2 x 2 cells."""
    rows, columns = (side % 2 for side in level.shape[:2])
    padded = np.pad(level, ((0, rows), (0, columns), (0, 0)))
    return np.asarray(padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2])


def _doubled(values: Array, height: int, width: int) -> Array:
    """(h, w, C) enlarged by 2, bilinear, cut to (height, width, C)."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    near, before, after = padded[1:-1], padded[:-2], padded[2:]
    rows = np.stack([0.75 * near + 0.25 * before, 0.75 * near + 0.25 * after], 1).reshape(
        -1, *padded.shape[1:]
    )
    near, before, after = rows[:, 1:-1], rows[:, :-2], rows[:, 2:]
    both = np.stack([0.75 * near + 0.25 * before, 0.75 * near + 0.25 * after], 2)
    return both.reshape(rows.shape[0], -1, values.shape[2])[:height, :width].astype(np.float32)


@compiled(fastmath=True)
def _collect(rgb: Image, coc: Plane, matte: Plane, factor: int, sums: Array, edges: Marks) -> None:
    """Adds colour, CoC and 1 of the pixels of each side to its cell in sums (2, h, w, 5): subject, around. edges (h, w): 1
    where a cell holds mixed pixels or both sides.
    """
    height, width = coc.shape
    for y in range(height):
        for x in range(width):
            row, column, alpha = y // factor, x // factor, matte[y, x]
            if alpha >= COVERED or alpha <= OPEN:
                side = 0 if alpha >= COVERED else 1
                for k in range(3):
                    sums[side, row, column, k] += rgb[y, x, k]
                sums[side, row, column, 3] += coc[y, x]
                sums[side, row, column, 4] += 1
            else:
                edges[row, column] = 1
    for row in range(edges.shape[0]):
        for column in range(edges.shape[1]):
            if sums[0, row, column, 4] > 0 and sums[1, row, column, 4] > 0:
                edges[row, column] = 1
                continue
            for n in range(2):  # a border that runs between two cells
                r, c = min(row + n, edges.shape[0] - 1), min(column + 1 - n, edges.shape[1] - 1)
                for side in range(2):
                    if sums[side, row, column, 4] > 0 and sums[1 - side, r, c, 4] > 0:
                        edges[row, column] = 1


@compiled(fastmath=True)
def _sample(grid: Array, y: float, x: float, out: Array) -> None:
    """out (C,): bilinear value of grid (h, w, C) at a place in cells."""
    y, x = min(max(y, 0.0), grid.shape[0] - 1.0), min(max(x, 0.0), grid.shape[1] - 1.0)
    top, left = int(y), int(x)
    below, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
    v, u = np.float32(y - top), np.float32(x - left)
    for k in range(out.shape[0]):
        upper = (1 - u) * grid[top, left, k] + u * grid[top, right, k]
        lower = (1 - u) * grid[below, left, k] + u * grid[below, right, k]
        out[k] = (1 - v) * upper + v * lower


@compiled(fastmath=True)
def _solve(pixel: Array, near: Array, far: Array, alpha: float, front: Array, back: Array) -> None:
    """Writes front and back (3,), which mix to the pixel: close to near and far (3,), bounded by both and the pixel.

    The side that dominates takes what the bounds leave over.
    """
    rest = 1 - alpha
    norm = alpha * alpha + rest * rest
    for k in range(3):
        missing = (pixel[k] - alpha * near[k] - rest * far[k]) / norm
        low = min(min(near[k], far[k]), pixel[k]) - _LEEWAY
        high = max(max(near[k], far[k]), pixel[k]) + _LEEWAY
        f = max(min(max(near[k] + alpha * missing, low), high), 0.0)
        b = max(min(max(far[k] + rest * missing, low), high), 0.0)
        left = pixel[k] - alpha * f - rest * b
        if alpha >= 0.5:
            f = max(f + left / alpha, 0.0)
        else:
            b = max(b + left / rest, 0.0)
        front[k], back[k] = f, b


@compiled(fastmath=True)
def _fill(
    rgb: Image,
    coc: Plane,
    matte: Plane,
    steps: Marks,
    sides: Sides,
    out: Layers,
    seen: Plane,
    first: int,
    last: int,
) -> None:
    """Writes rows first..last of the layers and of the CoC that is seen."""
    width, scale = coc.shape[1], 1 / sides.factor
    subject, around = np.empty(4, np.float32), np.empty(4, np.float32)
    for y in range(first, last):
        for x in range(width):
            row, column = (y + 0.5) * scale - 0.5, (x + 0.5) * scale - 0.5
            if sides.doubt[y // sides.factor, x // sides.factor] > 0:
                _sample(sides.subject, row, column, subject)
                _sample(sides.around, row, column, around)
                if abs(subject[3] - around[3]) > STEP_PX:
                    _write_border(rgb[y, x], matte[y, x], subject, around, out, y, x)
                    behind = out.back_coc[y, x]
                    seen[y, x] = out.front_coc[y, x]
                    if behind != NOTHING and abs(behind) > abs(seen[y, x]):
                        seen[y, x] = behind
                    continue
            if steps[y, x]:
                share, depth, behind = unmix_pixel(rgb, coc, steps, y, x, out.front[y, x], out.back[y, x])
                if behind == NOTHING:
                    out.front[y, x] = rgb[y, x]
                    out.back[y, x] = 0
                else:
                    out.alpha[y, x], out.front_coc[y, x], out.back_coc[y, x] = share, depth, behind


@compiled(fastmath=True)
def _write_border(
    pixel: Array, alpha: float, subject: Array, around: Array, out: Layers, y: int, x: int
) -> None:
    """Writes one pixel near the border: one of the two surfaces, or both, the nearer in front."""
    if alpha >= COVERED:
        out.front_coc[y, x] = subject[3]
        return
    if alpha <= OPEN:
        out.front_coc[y, x] = around[3]
        return
    front, back = out.front[y, x], out.back[y, x]
    if subject[3] > around[3]:
        _solve(pixel, subject, around, alpha, front, back)
        out.alpha[y, x], out.front_coc[y, x], out.back_coc[y, x] = alpha, subject[3], around[3]
    else:
        _solve(pixel, around, subject, 1 - alpha, front, back)
        out.alpha[y, x], out.front_coc[y, x], out.back_coc[y, x] = 1 - alpha, around[3], subject[3]
