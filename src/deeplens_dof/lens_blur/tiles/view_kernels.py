"""The views of each lens point, painted from far to near, and their mean. Compiled by numba.

One row of the tile at a time, so that the row being painted stays in the nearest cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.tiles.aperture_spans import Rim
from deeplens_dof.lens_blur.tiles.block_stats import BLOCK
from deeplens_dof.lens_blur.tiles.segment_kernels import Segments
from deeplens_dof.lens_blur.tiles.window_kernels import Window
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Marks

# Indices of this type are never checked for being negative, so that loops compile to vector instructions.
_U = np.uint64

Shifts = npt.NDArray[np.int64]


class _Row(NamedTuple):
    """Scratch for one row of a tile, 4 numbers a cell."""

    far: Array  # (4 w,), of one lens point: the far side, or everything
    near: Array  # (4 w,), of one lens point: the near side
    sum_near: Array  # (4 w,)
    sum_far: Array  # (4 w,)
    share: Array  # (w,), how open the lens point is
    sum_share: Array  # (w,)


@compiled(fastmath=True)
def _paint_bins(
    line: Array,  # (4 * cells,), columns first .. last - 1 of the window
    y: int,
    first: int,
    last: int,
    bins: Shifts,  # which to paint, from far to near
    shift: Shifts,  # (bins, 2): of each bin, as this lens point sees it
    segments: Segments,
    window: Window,
) -> None:
    """Paints row y of the window as one lens point sees it."""
    ordered, row_start = segments.ordered, segments.row_start
    surfaces, through, rows = window.surfaces, window.through, window.rows
    for b in bins:
        row = y - shift[b, 1]
        if row < 0 or row >= rows:
            continue
        across = shift[b, 0] - first
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


@compiled(fastmath=True)
def _add(total: Array, line: Array, weight: np.float32) -> None:
    """Adds a view to the sum."""
    for i in range(_U(line.shape[0])):
        total[i] += weight * line[i]


@compiled(fastmath=True)
def _add_sides(sum_near: Array, sum_far: Array, near: Array, far: Array, weight: np.float32) -> None:
    """Adds the near side of a view, and the far side where the near one lets light pass."""
    for p in range(near.shape[0] // 4):
        seen = weight * (1 - near[4 * p + 3])
        for c in range(4):
            sum_near[4 * p + c] += weight * near[4 * p + c]
            sum_far[4 * p + c] += seen * far[4 * p + c]


@compiled(fastmath=True)
def _open_shares(share: Array, ux: np.float32, uy: np.float32, rim: Rim, cell: np.float32) -> None:
    """share (w,): how open the lens point (ux, uy) is between the rims of the barrel, along a row that begins at `rim`.

    cell: width of the soft rim, CoC units.
    """
    for x in range(share.shape[0]):
        off = rim.x + x * rim.growth
        beyond = max((ux - off) ** 2 + (uy - rim.y) ** 2, (ux + off) ** 2 + (uy + rim.y) ** 2)
        share[x] = min(max((1 - math.sqrt(beyond)) / cell + np.float32(0.5), np.float32(0)), np.float32(1))


@compiled(fastmath=True)
def _add_open(row: _Row) -> None:
    """As `_add_sides`, each cell weighted by how open the lens point is there."""
    sum_near, sum_far, sum_share = row.sum_near, row.sum_far, row.sum_share
    near, far, share = row.near, row.far, row.share
    for x in range(share.shape[0]):
        sum_share[x] += share[x]
        seen = share[x] * (1 - near[4 * x + 3])
        for c in range(4):
            sum_near[4 * x + c] += share[x] * near[4 * x + c]
            sum_far[4 * x + c] += seen * far[4 * x + c]


@compiled(fastmath=True)
def _bins_in_reach(y: int, first: int, last: int, segments: Segments, rows: int, bins: Shifts) -> int:
    """Writes the bins with a segment that may be seen in columns first .. last - 1 of row y; returns how many."""
    bin_coc, row_start, ordered = segments.bin_coc, segments.row_start, segments.ordered
    n = 0
    for b in range(segments.bins):
        reach = int(abs(bin_coc[b])) + 1
        for r in range(row_start[b, max(y - reach, 0)], row_start[b, min(y + reach + 1, rows)]):
            if ordered[r, 0] - reach < last and ordered[r, 0] + ordered[r, 1] + reach > first:
                bins[n] = b
                n += 1
                break
    return n


@compiled(fastmath=True)
def _mean_row(
    row: _Row,
    y: int,
    first: int,
    last: int,
    points: Array,  # (n, 2)
    shift: Shifts,  # (n, bins, 2)
    rim: Rim,  # at the first cell
    bins: tuple[Shifts, Shifts],  # far and near; no near ones where both sides are rendered together
    segments: Segments,
    window: Window,
) -> None:
    """Mean over the lens points of columns first .. last - 1 of row y of the window, into sum_near and sum_far."""
    count = shift.shape[0]
    far, near, sum_near, sum_far, share, sum_share = row
    far_bins, near_bins = bins
    weight, cell = np.float32(1.0 / count), np.float32(math.sqrt(math.pi / count))
    cut, sides = rim.growth > 0, near_bins.shape[0] > 0
    near[:] = 0
    sum_near[:] = 0
    sum_far[:] = 0
    sum_share[:] = 0
    for k in range(count):
        far[:] = 0
        _paint_bins(far, y, first, last, far_bins, shift[k], segments, window)
        if sides:
            near[:] = 0
            _paint_bins(near, y, first, last, near_bins, shift[k], segments, window)
        if cut:
            _open_shares(share, points[k, 0], points[k, 1], rim, cell)
            _add_open(row)
        elif sides:
            _add_sides(sum_near, sum_far, near, far, weight)
        else:
            _add(sum_far, far, weight)
    if cut:
        for x in range(last - first):
            scale = 1 / max(sum_share[x], np.float32(1e-6))
            for c in range(4):
                sum_near[4 * x + c] *= scale
                sum_far[4 * x + c] *= scale


@compiled()
def _row_of(scratch: Array, shares: Array, cells: int) -> _Row:
    """Scratch of that many cells from (4, 4 w) and (2, w)."""
    size = 4 * cells
    far, near, sum_near, sum_far = scratch[0, :size], scratch[1, :size], scratch[2, :size], scratch[3, :size]
    return _Row(far, near, sum_near, sum_far, shares[0, :cells], shares[1, :cells])


@compiled(fastmath=True)
def _shifts(points: Array, segments: Segments) -> Shifts:
    """Displacement (n, bins, 2) of each bin seen from each lens point, in whole cells."""
    shift = np.empty((points.shape[0], segments.bins, 2), np.int64)
    for k in range(points.shape[0]):
        for b in range(segments.bins):
            for axis in range(2):
                shift[k, b, axis] = int(math.floor(segments.bin_coc[b] * points[k, axis] + 0.5))
    return shift


@compiled(fastmath=True)
def mean_of_views(
    window: Window,
    segments: Segments,
    reach: int,  # cells by which the window begins before the blocks
    sides: bool,  # keep the near and the far side apart
    points: Array,  # (n, 2), lens points
    rim: Rim,  # at the first block's first cell
    needs_views: Marks,  # (height / BLOCK, width / BLOCK), the blocks to render
    total: Array,  # (height, width, 8) with `sides`, else (height, width, 4); written
) -> None:
    """Mean over the lens points of colour and coverage.

    With `sides` that of the near side, then that of the far side where the near one lets light pass.
    """
    height, width = total.shape[:2]
    shift = _shifts(points, segments)
    scratch, shares = np.zeros((4, 4 * width), np.float32), np.zeros((2, width), np.float32)
    live = np.empty(segments.bins, np.int64)
    for y in range(height):
        last = 0
        while last < width:
            first = last
            while first < width and not needs_views[y // BLOCK, first // BLOCK]:
                first += BLOCK
            last = first
            while last < width and needs_views[y // BLOCK, last // BLOCK]:
                last += BLOCK
            if first == last:
                continue
            n = _bins_in_reach(y + reach, first + reach, last + reach, segments, window.rows, live)
            far = n
            if sides:
                while far > 0 and live[far - 1] >= segments.first_near:
                    far -= 1
            row = _row_of(scratch, shares, last - first)
            here = Rim(rim.x + first * rim.growth, rim.y + y * rim.growth, rim.growth)
            bins = (live[:far], live[far:n])
            _mean_row(
                row, y + reach, first + reach, last + reach, points, shift, here, bins, segments, window
            )
            for x in range(first, last):
                for c in range(4):
                    if sides:
                        total[y, x, c] = row.sum_near[4 * (x - first) + c]
                        total[y, x, 4 + c] = row.sum_far[4 * (x - first) + c]
                    else:
                        total[y, x, c] = row.sum_far[4 * (x - first) + c]


@compiled(fastmath=True)
def _spline(offset: np.float32) -> tuple[np.float32, np.float32, np.float32]:
    """Weights of a quadratic B-spline at three cells whose middle one lies `offset` cells before."""
    return (
        np.float32(0.5) * (np.float32(0.5) - offset) ** 2,
        np.float32(0.75) - offset * offset,
        np.float32(0.5) * (np.float32(0.5) + offset) ** 2,
    )


@compiled(fastmath=True)
def composite_band(
    sharp: Array,  # (tile, tile, 4), premultiplied colour and coverage; changed in place
    skip: Marks,  # (blocks, blocks), blocks to which the band adds nothing
    band_total: Array,  # (rows, columns, 8), the band on its own cells
    factor: int,
    top: int,
    left: int,
) -> None:
    """Composites one band with everything sharper: its near side covers, its far side shows through.

    The band is read by a quadratic B-spline (three taps a side, no overshoot).
    """
    rows, columns = band_total.shape[:2]
    tile = sharp.shape[0]
    first = int(math.floor((left + 0.5) / factor - 0.5 + 0.5)) - 1
    count = tile // factor + 4
    line, value = np.empty((count, 8), np.float32), np.empty(8, np.float32)
    for y in range(tile):
        empty = True
        for b in range(skip.shape[1]):
            empty = empty and skip[y // BLOCK, b] == 1
        if empty:
            continue
        v = (top + y + 0.5) / factor - 0.5
        cy = int(math.floor(v + 0.5))
        dv = np.float32(v - cy)
        w0, w1, w2 = _spline(dv)
        r0, r1, r2 = min(max(cy - 1, 0), rows - 1), min(max(cy, 0), rows - 1), min(max(cy + 1, 0), rows - 1)
        for i in range(count):
            column = min(max(first + i, 0), columns - 1)
            for c in range(8):
                line[i, c] = (
                    w0 * band_total[r0, column, c]
                    + w1 * band_total[r1, column, c]
                    + w2 * band_total[r2, column, c]
                )
        for x in range(tile):
            if skip[y // BLOCK, x // BLOCK]:
                continue
            u = (left + x + 0.5) / factor - 0.5
            cx = int(math.floor(u + 0.5))
            du = np.float32(u - cx)
            u0, u1, u2 = _spline(du)
            i = cx - first
            for c in range(8):
                value[c] = u0 * line[i - 1, c] + u1 * line[i, c] + u2 * line[i + 1, c]
            through, open_ = 1 - value[3], 1 - sharp[y, x, 3]
            for c in range(4):
                sharp[y, x, c] = value[c] + through * sharp[y, x, c] + open_ * value[4 + c]


@compiled(fastmath=True)
def divide(total: Array, out: Image) -> None:
    """out (h, w, 3): colour divided by coverage, of the tile's first h rows and w columns."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            scale = 1 / max(total[y, x, 3], np.float32(1e-6))
            for c in range(3):
                out[y, x, c] = max(scale * total[y, x, c], np.float32(0))
