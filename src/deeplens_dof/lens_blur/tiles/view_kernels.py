"""Inner loops of views.py, compiled by numba: what each lens point sees of a window, painted from far to near, and the mean.

One row of the tile at a time, so that the row which is painted stays in the nearest cache.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

_U = (
    np.uint64
)  # indices of this type are not checked for being negative, so that loops compile to vector instructions


@nb.njit(nogil=True, cache=True, fastmath=True)
def _paint_bins(line, y, bins, shift, k, row_start, ordered, surfaces, through, rows, first, last):
    """Paints row y of the window as lens point k sees it: these bins, from far to near.

    line: columns first .. last - 1 of the window, 4 numbers each.
    """
    for b in bins:
        row = y - shift[k, b, 1]
        if row < 0 or row >= rows:
            continue
        across = shift[k, b, 0] - first
        for r in range(row_start[b, row], row_start[b, row + 1]):
            x, cells, source = ordered[r, 0] + across, ordered[r, 1], ordered[r, 2]
            if x < 0:
                cells += x
                source -= x
                x = 0
            cells = min(cells, last - first - x)
            if cells <= 0:
                continue
            to, start, count = _U(4 * x), _U(4 * source), _U(4 * cells)
            if ordered[r, 3]:
                for i in range(count):
                    line[to + i] = surfaces[start + i] + through[start + i] * line[to + i]
            else:
                for i in range(count):
                    line[to + i] = surfaces[start + i]


@nb.njit(nogil=True, cache=True, fastmath=True)
def _add(total, line, weight):
    for i in range(_U(line.shape[0])):
        total[i] += weight * line[i]


@nb.njit(nogil=True, cache=True, fastmath=True)
def _add_apart(total_near, total_far, near, far, weight):
    """Adds the near side, and the far side where the near one lets it pass."""
    for p in range(near.shape[0] // 4):
        seen = weight * (1 - near[4 * p + 3])
        for c in range(4):
            total_near[4 * p + c] += weight * near[4 * p + c]
            total_far[4 * p + c] += seen * far[4 * p + c]


@nb.njit(nogil=True, cache=True, fastmath=True)
def _open_shares(share, ux, uy, off_x, off_y, growth, cell):
    """share: how open a lens point is between the rims of the barrel, whose offset is (off_x, off_y) at the first pixel of
    the row and grows in x from pixel to pixel. cell: width of the soft rim, all in CoC units."""
    for x in range(share.shape[0]):
        off = off_x + x * growth
        beyond = max((ux - off) ** 2 + (uy - off_y) ** 2, (ux + off) ** 2 + (uy + off_y) ** 2)
        share[x] = min(max((1 - math.sqrt(beyond)) / cell + np.float32(0.5), np.float32(0)), np.float32(1))


@nb.njit(nogil=True, cache=True, fastmath=True)
def _add_open(total_near, total_far, total_share, near, far, share):
    """As `_add_apart`, each pixel weighed by how open the lens point is there."""
    for x in range(share.shape[0]):
        total_share[x] += share[x]
        seen = share[x] * (1 - near[4 * x + 3])
        for c in range(4):
            total_near[4 * x + c] += share[x] * near[4 * x + c]
            total_far[4 * x + c] += seen * far[4 * x + c]


@nb.njit(nogil=True, cache=True, fastmath=True)
def _bins_in_reach(y, first, last, bin_coc, used, row_start, ordered, rows, bins):
    """Writes the bins which have a run that may be seen in columns first .. last - 1 of row y; returns how many."""
    n = 0
    for b in range(used):
        reach = int(abs(bin_coc[b])) + 1
        for r in range(row_start[b, max(y - reach, 0)], row_start[b, min(y + reach + 1, rows)]):
            if ordered[r, 0] - reach < last and ordered[r, 0] + ordered[r, 1] + reach > first:
                bins[n] = b
                n += 1
                break
    return n


@nb.njit(nogil=True, cache=True, fastmath=True)
def _mean_row(
    room, shares, y, first, last, points, barrel, off_y, shift, row_start, ordered, surfaces, through, rows, far_bins,
    near_bins, apart, reach,
):  # fmt: skip
    """Mean over the lens points of columns first .. last - 1 of row y of the window, into room[2] near and room[3] far."""
    size, count = 4 * (last - first), shift.shape[0]
    line, near, sum_near, sum_far = room[0, :size], room[1, :size], room[2, :size], room[3, :size]
    share, sum_share = shares[0, : last - first], shares[1, : last - first]
    weight, cell = np.float32(1.0 / count), np.float32(math.sqrt(math.pi / count))
    cut = barrel[2] > 0
    near[:] = 0
    sum_near[:] = 0
    sum_far[:] = 0
    sum_share[:] = 0
    for k in range(count):
        if cut:
            off_x = barrel[0] + (first - reach) * barrel[2]
            _open_shares(share, points[k, 0], points[k, 1], off_x, off_y, barrel[2], cell)
        line[:] = 0
        _paint_bins(line, y, far_bins, shift, k, row_start, ordered, surfaces, through, rows, first, last)
        if apart:
            near[:] = 0
            _paint_bins(
                near, y, near_bins, shift, k, row_start, ordered, surfaces, through, rows, first, last
            )
        if cut:
            _add_open(sum_near, sum_far, sum_share, near, line, share)
        elif apart:
            _add_apart(sum_near, sum_far, near, line, weight)
        else:
            _add(sum_far, line, weight)
    if cut:
        for x in range(last - first):
            scale = 1 / max(sum_share[x], np.float32(1e-6))
            for c in range(4):
                sum_near[4 * x + c] *= scale
                sum_far[4 * x + c] *= scale


@nb.njit(nogil=True, cache=True, fastmath=True)
def mean_of_views(
    surfaces, through, ordered, row_start, bin_coc, used, first_near, apart, rows, reach, points, barrel, busy, block, total,
):  # fmt: skip
    """total (height, width, 8) of the busy blocks: mean over the lens points of colour and coverage of the near side, then of
    the far side where the near one lets it pass. Not `apart`: (height, width, 4), all of it together.

    points (n, 2): lens points; barrel: as in `spans.blur_plain`; busy (height / block, width / block) uint8.
    """
    height, width = total.shape[:2]
    count = points.shape[0]
    shift = np.empty((count, used, 2), np.int64)
    for k in range(count):
        for b in range(used):
            for axis in range(2):
                shift[k, b, axis] = int(math.floor(bin_coc[b] * points[k, axis] + 0.5))
    room, shares = np.zeros((4, 4 * width), np.float32), np.zeros((2, width), np.float32)
    live = np.empty(used, np.int64)
    for y in range(height):
        off_y = barrel[1] + y * barrel[2]
        last = 0
        while last < width:
            first = last
            while first < width and not busy[y // block, first // block]:
                first += block
            last = first
            while last < width and busy[y // block, last // block]:
                last += block
            if first == last:
                continue
            n = _bins_in_reach(
                y + reach, first + reach, last + reach, bin_coc, used, row_start, ordered, rows, live
            )
            far = n
            if apart:
                while far > 0 and live[far - 1] >= first_near:
                    far -= 1
            _mean_row(
                room, shares, y + reach, first + reach, last + reach, points, barrel, off_y, shift, row_start, ordered,
                surfaces, through, rows, live[:far], live[far:n], apart, reach,
            )  # fmt: skip
            for x in range(first, last):
                for c in range(4):
                    if apart:
                        total[y, x, c] = room[2, 4 * (x - first) + c]
                        total[y, x, 4 + c] = room[3, 4 * (x - first) + c]
                    else:
                        total[y, x, c] = room[3, 4 * (x - first) + c]


@nb.njit(nogil=True, cache=True, fastmath=True)
def join_shell(sharp, skip, block, shell_total, factor, top, left):
    """Puts one shell round what is sharper than it, in place: sharp (tile, tile, 4) premultiplied colour and coverage.

    skip (blocks, blocks) uint8: 1 for blocks to which it adds nothing. shell_total (rows, columns, 8) on its own cells,
    read by a quadratic B-spline (three taps a side, no overshoot). What is near covers, what is far shows where neither
    the near nor the sharp stand in front of it.
    """
    rows, columns = shell_total.shape[:2]
    tile = sharp.shape[0]
    first = int(math.floor((left + 0.5) / factor - 0.5 + 0.5)) - 1
    count = tile // factor + 4
    line, value = np.empty((count, 8), np.float32), np.empty(8, np.float32)
    for y in range(tile):
        empty = True
        for b in range(skip.shape[1]):
            empty = empty and skip[y // block, b] == 1
        if empty:
            continue
        v = (top + y + 0.5) / factor - 0.5
        cy = int(math.floor(v + 0.5))
        dv = np.float32(v - cy)
        w0, w1, w2 = (
            np.float32(0.5) * (np.float32(0.5) - dv) ** 2,
            np.float32(0.75) - dv * dv,
            np.float32(0.5) * (np.float32(0.5) + dv) ** 2,
        )
        r0, r1, r2 = min(max(cy - 1, 0), rows - 1), min(max(cy, 0), rows - 1), min(max(cy + 1, 0), rows - 1)
        for i in range(count):
            column = min(max(first + i, 0), columns - 1)
            for c in range(8):
                line[i, c] = (
                    w0 * shell_total[r0, column, c]
                    + w1 * shell_total[r1, column, c]
                    + w2 * shell_total[r2, column, c]
                )
        for x in range(tile):
            if skip[y // block, x // block]:
                continue
            u = (left + x + 0.5) / factor - 0.5
            cx = int(math.floor(u + 0.5))
            du = np.float32(u - cx)
            u0, u1, u2 = (
                np.float32(0.5) * (np.float32(0.5) - du) ** 2,
                np.float32(0.75) - du * du,
                np.float32(0.5) * (np.float32(0.5) + du) ** 2,
            )
            i = cx - first
            for c in range(8):
                value[c] = u0 * line[i - 1, c] + u1 * line[i, c] + u2 * line[i + 1, c]
            through, open_ = 1 - value[3], 1 - sharp[y, x, 3]
            for c in range(4):
                sharp[y, x, c] = value[c] + through * sharp[y, x, c] + open_ * value[4 + c]


@nb.njit(nogil=True, cache=True, fastmath=True)
def divide(total, out):
    """out (h, w, 3): colour over coverage of the tile's first h rows and w columns."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            scale = 1 / max(total[y, x, 3], np.float32(1e-6))
            for c in range(3):
                out[y, x, c] = max(scale * total[y, x, c], np.float32(0))
