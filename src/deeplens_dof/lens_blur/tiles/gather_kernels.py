"""Blur of one unbroken surface in O(radius): a shape as row spans, each read from a running sum. Compiled by numba.

Where no depth step is within reach, every lens point sees the same surface, and the mean over the lens is a plain mean
over the aperture's shape. Each pixel counts with the area of the shape that covers it. Towards a radius of half a pixel a
3x3 mean of the same variance takes over, so that the blur grows from nothing without a jump.

Light that reaches a pixel from the lens point u comes from the pixel that lies at -coc * u from it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.tiles.aperture_spans import ApertureSpans, Rim
from deeplens_dof.lens_blur.tiles.block_stats import BLOCK
from deeplens_dof.lens_blur.tiles.coc_band import BandLimits
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Marks, Plane

SAME_RADIUS = 0.05  # cells by which neighbours may differ that are blurred as one
# Indices of this type are never checked for being negative, so that loops compile to vector instructions.
_U = np.uint64


class TilePlace(NamedTuple):
    """A tile on its level."""

    top: int  # cell
    left: int  # cell
    reach: int  # cells around the tile from which light may come


@compiled(fastmath=True)
def running_sums(rgb: Image, top: int, left: int, rows: int, columns: int, sums: Array) -> None:
    """sums[j, i] = sum of rgb over the first i pixels of row j of the window at (top, left), edges repeated."""
    height, width = rgb.shape[:2]
    for j in range(rows):
        y = min(max(top + j, 0), height - 1)
        s0, s1, s2 = np.float32(0), np.float32(0), np.float32(0)
        sums[j, 0, 0], sums[j, 0, 1], sums[j, 0, 2] = s0, s1, s2
        for i in range(columns):
            x = min(max(left + i, 0), width - 1)
            s0 += rgb[y, x, 0]
            s1 += rgb[y, x, 1]
            s2 += rgb[y, x, 2]
            sums[j, i + 1, 0], sums[j, i + 1, 1], sums[j, i + 1, 2] = s0, s1, s2


@compiled(fastmath=True)
def _disc_mean(sums: Array, j: int, i: int, radius: float, off_x: float, off_y: float, out: Array) -> None:
    """Mean over the disc of that radius around pixel (j, i) of the window; out (3,) is written.

    The disc is cut by the two rims of the barrel, discs at (off_x, off_y) and at the opposite side.
    """
    m0, m1, m2, area = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    last = int(math.ceil(radius - 0.5))
    cut = off_x != 0 or off_y != 0
    for dy in range(-last, last + 1):
        low, high = max(dy - 0.5, -radius), min(dy + 0.5, radius)
        middle = 0.5 * (low + high)
        half = math.sqrt(max(radius * radius - middle * middle, 0.0))
        begin, end = -half, half
        if cut:
            above, below = radius * radius - (middle - off_y) ** 2, radius * radius - (middle + off_y) ** 2
            if above <= 0 or below <= 0:
                continue
            above, below = math.sqrt(above), math.sqrt(below)
            begin, end = max(begin, off_x - above, -off_x - below), min(end, off_x + above, -off_x + below)
            if end <= begin:
                continue
        weight = np.float32(high - low)
        a, b = i + 0.5 + begin, i + 0.5 + end
        ia, ib = int(a), int(b)
        ta, tb = np.float32(a - ia), np.float32(b - ib)
        row = sums[j + dy]
        m0 += weight * (
            (1 - tb) * row[ib, 0] + tb * row[ib + 1, 0] - (1 - ta) * row[ia, 0] - ta * row[ia + 1, 0]
        )
        m1 += weight * (
            (1 - tb) * row[ib, 1] + tb * row[ib + 1, 1] - (1 - ta) * row[ia, 1] - ta * row[ia + 1, 1]
        )
        m2 += weight * (
            (1 - tb) * row[ib, 2] + tb * row[ib + 1, 2] - (1 - ta) * row[ia, 2] - ta * row[ia + 1, 2]
        )
        area += weight * np.float32(end - begin)
    out[0], out[1], out[2] = m0 / area, m1 / area, m2 / area


@compiled(fastmath=True)
def _disc_means(flat: Array, j: int, i: int, count: int, radius: float, out: Array) -> None:
    """Means over the uncut disc for `count` neighbouring pixels from (j, i) on that share a radius.

    flat: the running sums with columns and colours in one axis; out: 3 numbers a pixel.
    """
    size = _U(3 * count)
    for q in range(size):
        out[q] = 0
    area = np.float32(0)
    last = int(math.ceil(radius - 0.5))
    for dy in range(-last, last + 1):
        low, high = max(dy - 0.5, -radius), min(dy + 0.5, radius)
        middle = 0.5 * (low + high)
        half = math.sqrt(max(radius * radius - middle * middle, 0.0))
        a, b = i + 0.5 - half, i + 0.5 + half
        ia, ib = int(a), int(b)
        weight = np.float32(high - low)
        a1, b1 = weight * np.float32(a - ia), weight * np.float32(b - ib)
        a0, b0 = weight - a1, weight - b1
        row, at, to, cell = flat[j + dy], _U(3 * ia), _U(3 * ib), _U(3)
        for q in range(size):
            out[q] += b0 * row[to + q] + b1 * row[to + cell + q] - a0 * row[at + q] - a1 * row[at + cell + q]
        area += weight * np.float32(2 * half)
    scale = 1 / area
    for q in range(size):
        out[q] *= scale


@compiled(fastmath=True)
def _shape_mean(sums: Array, j: int, i: int, coc: float, shape: ApertureSpans, out: Array) -> None:
    """Mean over a shape with that signed CoC around pixel (j, i); out (3,) is written unless no light passes."""
    first, spans = shape.first, shape.spans
    rows = first.shape[0] - 1
    radius = abs(coc)
    turn = np.float32(-1 if coc > 0 else 1)
    last = int(math.ceil(radius - 0.5))
    m0, m1, m2, area = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for dy in range(-last, last + 1):
        low, high = max(dy - 0.5, -radius), min(dy + 0.5, radius)
        v = turn * 0.5 * (low + high) / radius
        number = min(max(int((v + 1) * 0.5 * rows), 0), rows - 1)
        row = sums[j + dy]
        for s in range(first[number], first[number + 1]):
            begin, end = turn * spans[s, 0] * radius, turn * spans[s, 1] * radius
            if begin > end:
                begin, end = end, begin
            weight = np.float32(high - low) * spans[s, 2]
            a, b = i + 0.5 + begin, i + 0.5 + end
            ia, ib = int(a), int(b)
            ta, tb = np.float32(a - ia), np.float32(b - ib)
            m0 += weight * (
                (1 - tb) * row[ib, 0] + tb * row[ib + 1, 0] - (1 - ta) * row[ia, 0] - ta * row[ia + 1, 0]
            )
            m1 += weight * (
                (1 - tb) * row[ib, 1] + tb * row[ib + 1, 1] - (1 - ta) * row[ia, 1] - ta * row[ia + 1, 1]
            )
            m2 += weight * (
                (1 - tb) * row[ib, 2] + tb * row[ib + 1, 2] - (1 - ta) * row[ia, 2] - ta * row[ia + 1, 2]
            )
            area += weight * (end - begin)
    if area > 0:
        out[0], out[1], out[2] = m0 / area, m1 / area, m2 / area


@compiled(fastmath=True)
def _slight_mean(rgb: Image, y: int, x: int, radius: np.float32, out: Array) -> None:
    """Blur by a disc of at most a pixel: the 3x3 mean of the disc's variance, radius^2 / 4 a side; out (3,)."""
    height, width = rgb.shape[:2]
    side = np.float32(radius * radius / 8)
    out[0], out[1], out[2] = 0, 0, 0
    for dy in range(-1, 2):
        yy = min(max(y + dy, 0), height - 1)
        for dx in range(-1, 2):
            xx = min(max(x + dx, 0), width - 1)
            weight = (side if dy else 1 - 2 * side) * (side if dx else 1 - 2 * side)
            for c in range(3):
                out[c] += weight * rgb[yy, xx, c]


@compiled(fastmath=True)
def _alike(other: float, coc: float, limits: BandLimits) -> bool:
    """Whether a neighbour's CoC, photo px, is so like `coc` that both are blurred as one."""
    size = abs(other)
    if (other > 0) != (coc > 0) or abs(size - abs(coc)) > SAME_RADIUS * limits.factor:
        return False
    return limits.inner <= size < limits.outer and (limits.factor != 1 or size >= 1.5)


@compiled(fastmath=True)
def blur_plain(
    rgb: Image,  # (h, w, 3)
    coc: Plane,  # (h, w), photo px
    skip: Marks,  # (blocks, blocks) of the tile: near a depth step, or without any cell of the band
    sums: Array,  # (side, side + 1, 3), running sums of the tile and `reach` cells around it
    limits: BandLimits,
    shape: ApertureSpans,
    rim: Rim,  # at the tile's first cell
    place: TilePlace,
    total: Array,  # (tile, tile, 4 or 8), written as by `mean_of_views`
) -> None:
    """Writes the blocks of one tile that are not skipped."""
    top, left, reach = place.top, place.left, place.reach
    factor, inner, outer, shrink = limits
    height, width = coc.shape
    value, slight, many = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3 * BLOCK, np.float32)
    flat = sums.reshape(sums.shape[0], sums.shape[1] * 3)
    is_disc = shape.spans.shape[0] == 0 and rim.growth == 0
    for by in range(skip.shape[0]):
        for bx in range(skip.shape[1]):
            if skip[by, bx]:
                continue
            for ty in range(by * BLOCK, min((by + 1) * BLOCK, height - top)):
                done = bx * BLOCK
                for tx in range(bx * BLOCK, min((bx + 1) * BLOCK, width - left)):
                    y, x = top + ty, left + tx
                    size = abs(coc[y, x])
                    if tx < done or size >= outer or (size < inner and inner > 0):
                        continue
                    radius = math.sqrt(max((size / factor) ** 2 - shrink, 0.0))
                    channel = 0 if coc[y, x] > 0 or inner <= 0 else 4
                    if is_disc and radius > 0.5 and (size >= 1.5 or factor > 1):
                        done = tx + 1
                        end = min((bx + 1) * BLOCK, width - left)
                        while done < end and _alike(coc[y, left + done], coc[y, x], limits):
                            done += 1
                        _disc_means(flat, ty + reach, tx + reach, done - tx, radius, many)
                        for k in range(done - tx):
                            for c in range(3):
                                total[ty, tx + k, channel + c] = many[3 * k + c]
                            total[ty, tx + k, channel + 3] = 1.0
                        continue
                    value[0], value[1], value[2] = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
                    if radius > 0.5:
                        if shape.spans.shape[0] > 0:
                            signed = radius if coc[y, x] > 0 else -radius
                            _shape_mean(sums, ty + reach, tx + reach, signed, shape, value)
                        else:
                            off_x = radius * (rim.x + tx * rim.growth)
                            off_y = radius * (rim.y + ty * rim.growth)
                            _disc_mean(sums, ty + reach, tx + reach, radius, off_x, off_y, value)
                    if factor == 1 and 0 < size < 1.5:
                        _slight_mean(rgb, y, x, min(size, np.float32(1)), slight)
                        share = min(max(size - np.float32(0.5), np.float32(0)), np.float32(1))
                        for c in range(3):
                            value[c] = share * value[c] + (1 - share) * slight[c]
                    for c in range(3):
                        total[ty, tx, channel + c] = value[c]
                    total[ty, tx, channel + 3] = 1.0
