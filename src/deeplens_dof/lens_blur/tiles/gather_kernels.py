"""Blur of one unbroken surface in O(radius): a shape as row spans, each read from a running sum. Compiled by numba.

Where no depth step is within reach every lens point sees the same surface, and the mean over the lens is a plain mean
over the aperture's shape. Each pixel counts with the area of the shape that covers it; towards a radius of half a pixel a
3x3 mean of the same variance takes over, so that the blur grows from nothing without a jump.

Light that reaches a pixel from the lens point u comes from the pixel that lies at -coc * u from it.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

SAME_RADIUS = 0.05  # cells by which neighbours may differ that are blurred as one
_U = (
    np.uint64
)  # indices of this type are not checked for being negative, so that loops compile to vector instructions


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
def lens_mean(sums, j, i, radius, off_x, off_y, out):
    """Mean over the disc of that radius round pixel (j, i) of the window, or over what it has in common with the discs
    at (off_x, off_y) and at the opposite side, which are the rims of the barrel. out (3,) is written."""
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


@nb.njit(nogil=True, cache=True, fastmath=True)
def disc_means(flat, j, i, count, radius, out):
    """As `lens_mean` of the plain disc for `count` neighbouring pixels from (j, i) on that share a radius.

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


@nb.njit(nogil=True, cache=True, fastmath=True)
def shape_mean(sums, j, i, coc, first, spans, out):
    """Mean over a shape given by its spans, see `shape_spans`, with that signed CoC, round pixel (j, i). Returns whether
    it met any light; out (3,) is written."""
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
    if area <= 0:
        return False
    out[0], out[1], out[2] = m0 / area, m1 / area, m2 / area
    return True


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
def blur_plain(rgb, coc, skip, block, sums, shell, first, spans, barrel, top, left, reach, total):
    """Writes the blocks of one tile that are not skipped: total (tile, tile, 4 or 8) as in mean_of_views.

    skip (blocks, blocks) uint8: blocks within reach of a depth step, or without anything of the shell. first, spans: of
    `shape_spans`. barrel (3,): offset (x, y) of the barrel's rim at cell (top, left) in CoC units, and how much it grows
    from cell to cell.
    """
    factor, inner, outer, shrink = shell
    height, width = coc.shape
    value, slight, many = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3 * block, np.float32)
    flat = sums.reshape(sums.shape[0], sums.shape[1] * 3)
    is_disc = spans.shape[0] == 0 and barrel[2] == 0
    for by in range(skip.shape[0]):
        for bx in range(skip.shape[1]):
            if skip[by, bx]:
                continue
            for ty in range(by * block, min((by + 1) * block, height - top)):
                done = bx * block
                for tx in range(bx * block, min((bx + 1) * block, width - left)):
                    y, x = top + ty, left + tx
                    size = abs(coc[y, x])
                    if tx < done or size >= outer or (size < inner and inner > 0):
                        continue
                    radius = math.sqrt(max((size / factor) ** 2 - shrink, 0.0))
                    channel = 0 if coc[y, x] > 0 or inner <= 0 else 4
                    if is_disc and radius > 0.5 and (size >= 1.5 or factor > 1):
                        done = tx + 1
                        while done < min((bx + 1) * block, width - left):
                            other = coc[y, left + done]
                            if (other > 0) != (coc[y, x] > 0) or abs(
                                abs(other) - size
                            ) > SAME_RADIUS * factor:
                                break
                            if (
                                abs(other) >= outer
                                or abs(other) < inner
                                or (factor == 1 and abs(other) < 1.5)
                            ):
                                break
                            done += 1
                        disc_means(flat, ty + reach, tx + reach, done - tx, radius, many)
                        for k in range(done - tx):
                            for c in range(3):
                                total[ty, tx + k, channel + c] = many[3 * k + c]
                            total[ty, tx + k, channel + 3] = 1.0
                        continue
                    value[0], value[1], value[2] = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
                    if radius > 0.5:
                        if spans.shape[0] > 0:
                            signed = radius if coc[y, x] > 0 else -radius
                            shape_mean(sums, ty + reach, tx + reach, signed, first, spans, value)
                        else:
                            off_x = radius * (barrel[0] + tx * barrel[2])
                            off_y = radius * (barrel[1] + ty * barrel[2])
                            lens_mean(sums, ty + reach, tx + reach, radius, off_x, off_y, value)
                    if factor == 1 and 0 < size < 1.5:
                        slight_mean(rgb, y, x, min(size, np.float32(1)), slight)
                        share = min(max(size - np.float32(0.5), np.float32(0)), np.float32(1))
                        for c in range(3):
                            value[c] = share * value[c] + (1 - share) * slight[c]
                    for c in range(3):
                        total[ty, tx, channel + c] = value[c]
                    total[ty, tx, channel + 3] = 1.0
