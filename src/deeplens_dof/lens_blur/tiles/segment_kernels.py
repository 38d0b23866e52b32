"""The surfaces of a window, cut into segments of cells that move together. Compiled by numba.

A segment is a stretch of one row whose CoC falls into one bin: from a lens point it is seen displaced as a whole. Bins are
numbered from far to near, so that painting them in order lets near surfaces cover far ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.tiles.coc_band import BandLimits
from deeplens_dof.lens_blur.tiles.window_kernels import Window, surface_of
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Index, Marks

FINE_CELLS = 8.0  # CoC up to which bins are a quarter of a cell wide; beyond it they are half a cell wide
LARGEST_BIN_CELLS = 500.0  # CoC of the last bin
BINS = 2 * int(4 * FINE_CELLS + 2 * (LARGEST_BIN_CELLS - FINE_CELLS)) + 1
MIDDLE_BIN = BINS // 2  # of surfaces in focus
_NO_BIN = np.int16(-1)

Bins = npt.NDArray[np.int16]


class Segments(NamedTuple):
    """The segments of a window, ordered by bin, then row."""

    ordered: Index  # (n, 4): first column, number of cells, source (a cell of `Window.surfaces`), soft or not
    row_start: (
        Index  # (bins, rows + 1): the first segment of each row of a bin, and the end of the last row's
    )
    bin_coc: Array  # (bins,) or more: CoC in cells
    bins: int  # in use
    first_near: int  # the first bin that is nearer than the focus


@compiled(fastmath=True)
def _bin_of(cells: float) -> int:
    """Number of the bin of a CoC in cells."""
    size = abs(cells)
    step = 4 * size if size < FINE_CELLS else 4 * FINE_CELLS + 2 * (size - FINE_CELLS)
    number = int(min(step, float(MIDDLE_BIN)) + 0.5)
    return MIDDLE_BIN + (number if cells > 0 else -number)


@compiled(fastmath=True)
def _in_cells(coc_px: float, factor: float, shrink: float) -> float:
    """CoC in cells, less the blur that reduced cells and their interpolation add by themselves (`BandLimits.shrink`)."""
    cells = coc_px / factor
    if shrink > 0:
        size = math.sqrt(max(cells * cells - shrink, 0.0))
        return size if cells > 0 else -size
    return cells


@compiled(fastmath=True)
def _bin_surface(
    surface: Array,  # (4 * cells,)
    coc: Array,  # (cells,)
    times: Marks,  # (cells,), of `soften`
    limits: BandLimits,
    bins: Bins,  # (cells,), written; _NO_BIN outside the band
    sums: Array,  # (BINS, 4), added to, see `make_segments`
) -> None:
    """Finds the bins of one surface."""
    factor, inner, outer, shrink = limits
    for p in range(bins.shape[0]):
        size = abs(coc[p])
        if size >= outer or size < inner:
            bins[p] = _NO_BIN
            continue
        cells = _in_cells(coc[p], factor, shrink + 2 * times[p])
        number = _bin_of(cells)
        bins[p] = number
        light = surface[4 * p] + surface[4 * p + 1] + surface[4 * p + 2]
        sums[number, 0] += cells
        sums[number, 1] += 1
        sums[number, 2] += light
        sums[number, 3] = max(sums[number, 3], light)


@compiled(fastmath=True)
def _front_segments(
    bins: Bins,  # (cells,), of the front
    coc: Array,  # (cells,)
    soft: Marks,  # (cells,)
    j: int,
    columns: int,
    widest_px: np.float32,
    n: int,
    segments: Index,  # (6, most), written from n on, see `make_segments`
) -> int:
    """The segments of the front in row j, each extended by a cell where its surface continues nearer; returns the count."""
    start, end = j * columns, (j + 1) * columns
    p = start
    while p < end:
        number, is_soft = bins[p], soft[p]
        q = p + 1
        while q < end and bins[q] == number and soft[q] == is_soft:
            q += 1
        if number != _NO_BIN:
            first, last = p, q
            if not is_soft:
                if (
                    p > start
                    and bins[p - 1] > number
                    and not soft[p - 1]
                    and abs(coc[p - 1] - coc[p]) <= widest_px
                ):
                    first -= 1
                if q < end and bins[q] > number and not soft[q] and abs(coc[q] - coc[q - 1]) <= widest_px:
                    last += 1
            segments[0, n], segments[1, n], segments[2, n] = number, j, first - start
            segments[3, n], segments[4, n], segments[5, n] = last - first, first, is_soft
            n += 1
        p = q
    return n


@compiled(fastmath=True)
def _segments_under(
    bins: Bins,  # (cells,), of the front
    coc: Array,  # (cells,)
    soft: Marks,  # (cells,)
    j: int,
    rows: int,
    columns: int,
    widest_px: np.float32,
    n: int,
    segments: Index,  # (6, most), written from n on, see `make_segments`
) -> int:
    """The segments that continue the surfaces of the rows above and below, where they are farther, under row j."""
    open_bin = _NO_BIN
    for i in range(columns):
        p = j * columns + i
        number = bins[p]
        above = bins[p - columns] if j > 0 else number
        below = bins[p + columns] if j < rows - 1 else number
        if above >= number and below >= number:
            open_bin = _NO_BIN
            continue
        lowest = number
        if not soft[p]:
            if (
                _NO_BIN < above < lowest
                and abs(coc[p - columns] - coc[p]) <= widest_px
                and not soft[p - columns]
            ):
                lowest = above
            if (
                _NO_BIN < below < lowest
                and abs(coc[p + columns] - coc[p]) <= widest_px
                and not soft[p + columns]
            ):
                lowest = below
        if lowest == number:
            open_bin = _NO_BIN
        elif lowest == open_bin:
            segments[3, n - 1] += 1
        else:
            segments[0, n], segments[1, n], segments[2, n], segments[3, n], segments[4, n], segments[5, n] = (
                lowest,
                j,
                i,
                1,
                p,
                0,
            )
            open_bin = lowest
            n += 1
    return n


@compiled(fastmath=True)
def make_segments(
    window: Window,
    times: Marks,  # (cells,), of `soften`; cleared
    limits: BandLimits,
    widest_px: np.float32,
    bins: Bins,  # (3, cells), scratch
    sums: Array,  # (BINS, 4), written: of each bin the sum of CoC in cells, cells, sum of light, most light of a cell
    segments: Index,  # (6, most), written: bin, row, first column, cells, source (a cell of the surfaces), soft or not
) -> int:
    """Cuts the surfaces of a window into segments; returns how many.

    Where one surface runs through several bins, the farther bin continues under the nearer one by a cell, so that nothing
    shows between the two when they move apart. Neighbours on one surface differ by at most `widest_px` of CoC.
    """
    rows, columns, coc, soft = window.rows, window.columns, window.coc, window.soft
    cells = rows * columns
    sums[:] = 0
    for k in range(3):
        _bin_surface(surface_of(window, k), coc[k], times, limits, bins[k, :cells], sums)
        times[:cells] = 0
    n = 0
    for j in range(rows):
        n = _front_segments(bins[0], coc[0], soft, j, columns, widest_px, n, segments)
        n = _segments_under(bins[0], coc[0], soft, j, rows, columns, widest_px, n, segments)
        for k in range(1, 3):
            p, end = j * columns, (j + 1) * columns
            while p < end:
                number = bins[k, p]
                q = p + 1
                while q < end and bins[k, q] == number:
                    q += 1
                if number != _NO_BIN:
                    segments[0, n], segments[1, n], segments[2, n] = number, j, p - j * columns
                    segments[3, n], segments[4, n], segments[5, n] = q - p, k * cells + p, 0
                    n += 1
                p = q
    return n


@compiled()
def order_segments(
    segments: Index,  # (6, most), of `make_segments`
    n: int,
    rows: int,
    sums: Array,  # (BINS, 4), of `make_segments`
    bin_coc: Array,  # (BINS,), this and the two below are written, see `Segments`
    row_start: Index,  # (bins, rows + 1)
    ordered: Index,  # (n, 4) or more
) -> tuple[int, int]:
    """Sorts segments by bin, then row. Returns the number of bins in use and the first one nearer than the focus."""
    number_of = np.full(BINS, -1, np.int32)
    used, first_near = 0, 0
    for number in range(BINS):
        if sums[number, 1] > 0:
            number_of[number] = used
            bin_coc[used] = sums[number, 0] / sums[number, 1]
            if bin_coc[used] <= 0:
                first_near = used + 1
            used += 1
    row_start[:used, : rows + 1] = 0
    for r in range(n):
        row_start[number_of[segments[0, r]], segments[1, r]] += 1
    total = 0
    for b in range(used):
        for j in range(rows):
            count = row_start[b, j]
            row_start[b, j] = total
            total += count
        row_start[b, rows] = total
    for r in range(n):
        b, j = number_of[segments[0, r]], segments[1, r]
        to = row_start[b, j]
        row_start[b, j] = to + 1
        for k in range(4):
            ordered[to, k] = segments[2 + k, r]
    for b in range(used):  # row_start now holds the ends: shift them by one row
        for j in range(rows - 1, 0, -1):
            row_start[b, j] = row_start[b, j - 1]
        row_start[b, 0] = row_start[b - 1, rows] if b > 0 else 0
    return used, first_near
