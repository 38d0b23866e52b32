"""Blur of one unbroken surface in O(radius): a disc as row spans, each read from a running sum. Compiled by numba.

Where no depth step is within reach every lens point sees the same surface, and the mean over the lens is a plain mean
over the disc. Each pixel counts with the area of the disc that covers it; towards a radius of half a pixel a 3x3 mean of
the same variance takes over, so that the blur grows from nothing without a jump.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True, fastmath=True)
def running_sums(rgb, top, left, rows, columns, sums):
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


@nb.njit(nogil=True, cache=True, fastmath=True)
def disc_mean(sums, j, i, radius, out):
    """Mean over the disc of that radius round pixel (j, i) of the window; out (3,) is written."""
    m0, m1, m2, area = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    last = int(math.ceil(radius - 0.5))
    for dy in range(-last, last + 1):
        low, high = max(dy - 0.5, -radius), min(dy + 0.5, radius)
        middle = 0.5 * (low + high)
        half = math.sqrt(max(radius * radius - middle * middle, 0.0))
        weight = np.float32(high - low)
        a, b = i + 0.5 - half, i + 0.5 + half
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
        area += weight * np.float32(2 * half)
    out[0], out[1], out[2] = m0 / area, m1 / area, m2 / area


@nb.njit(nogil=True, cache=True, fastmath=True)
def slight_mean(rgb, y, x, radius, out):
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


@nb.njit(nogil=True, cache=True, fastmath=True)
def blur_plain(rgb, coc, busy, block, sums, shell, top, left, tile, reach, total):
    """Writes the cells of the blocks of one tile that are not busy: total (tile, tile, 8) as in mean_view.

    busy (tile / block, tile / block): blocks within reach of a depth step, which are left alone.
    """
    factor, inner, outer, shrink = shell
    height, width = coc.shape
    value, slight = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for ty in range(tile):
        y = top + ty
        if y >= height:
            break
        for tx in range(tile):
            x = left + tx
            if x >= width:
                break
            if busy[ty // block, tx // block]:
                continue
            size = abs(coc[y, x])
            if size >= outer or (size < inner and inner > 0):
                continue
            radius = math.sqrt(max((size / factor) ** 2 - shrink, 0.0))
            channel = 0 if coc[y, x] > 0 or inner <= 0 else 4
            if radius <= 0.5:
                value[0], value[1], value[2] = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
            else:
                disc_mean(sums, ty + reach, tx + reach, radius, value)
            if factor == 1 and size < 1.5:
                slight_mean(rgb, y, x, min(size, np.float32(1)), slight)
                share = min(max(size - np.float32(0.5), np.float32(0)), np.float32(1))
                for c in range(3):
                    value[c] = share * value[c] + (1 - share) * slight[c]
            for c in range(3):
                total[ty, tx, channel + c] = value[c]
            total[ty, tx, channel + 3] = 1.0


@nb.njit(nogil=True, cache=True)
def mark_busy(steps, coc, hidden_coc, shell, margin, block, busy):
    """busy (rows, columns) uint8: blocks of cells that light of the shell reaches from beside or behind a depth step.

    hidden_coc may have coarser cells than coc; both in photo pixels, margin in cells.
    """
    factor, inner, outer, _shrink = shell
    height, width = coc.shape
    ratio = (height + hidden_coc.shape[0] - 1) // hidden_coc.shape[0]
    rows, columns = busy.shape
    radius = np.full((rows, columns), -1.0, np.float32)
    for y in range(height):
        for x in range(width):
            hidden = abs(hidden_coc[y // ratio, x // ratio])
            size = -1.0
            if steps[y, x] and inner <= abs(coc[y, x]) < outer:
                size = abs(coc[y, x])
            if inner <= hidden < outer and hidden > size:
                size = hidden
            if size >= 0:
                by, bx = y // block, x // block
                radius[by, bx] = max(radius[by, bx], np.float32(size / factor + margin))
    busy[:] = 0
    for by in range(rows):
        for bx in range(columns):
            if radius[by, bx] < 0:
                continue
            n = int(math.ceil(radius[by, bx] / block))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    gap_y, gap_x = max(abs(yy - by) - 1, 0) * block, max(abs(xx - bx) - 1, 0) * block
                    if gap_y * gap_y + gap_x * gap_x <= radius[by, bx] ** 2:
                        busy[yy, xx] = 1
