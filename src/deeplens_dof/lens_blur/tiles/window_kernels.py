"""Inner loops of views.py, compiled by numba: the surfaces of one window as runs of cells that move together.

A window is a tile and what can reach it. Its arrays are flat, one entry a cell, row by row: `front`, `back` and `deep`,
what lies behind both, hold premultiplied red, green, blue and alpha (4 numbers a cell), `soft` (uint8) says where the front
lets light pass and `through` there how much (the same number 4 times), `front_coc` and so on the signed CoC in photo pixels,
NOTHING where there is no surface.

A run is a stretch of one row whose CoC falls into one bin: from a lens point it is seen displaced as a whole. Bins are
numbered from far to near, so that painting them in order lets near things cover far ones.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from deeplens_dof.lens_blur.layers.kernels import NOTHING, unmix_pixel

FINE_CELLS = 8.0  # CoC up to which bins are a quarter of a cell wide; beyond it they are half a cell wide
LARGEST_CELLS = 500.0  # CoC that has a bin
BINS = 2 * int(4 * FINE_CELLS + 2 * (LARGEST_CELLS - FINE_CELLS)) + 1
MIDDLE_BIN = BINS // 2  # of what is in focus
_NO_BIN = np.int16(-1)
_LEAST_ALPHA = 0.01
_BACK_REACH = 3  # pixels round a mixed pixel in which its back is better known than the coarse hidden layer


@nb.njit(nogil=True, cache=True, fastmath=True)
def _bin_of(cells):
    """Number of the bin of a CoC in cells."""
    size = abs(cells)
    step = 4 * size if size < FINE_CELLS else 4 * FINE_CELLS + 2 * (size - FINE_CELLS)
    number = int(min(step, np.float32(MIDDLE_BIN)) + 0.5)
    return MIDDLE_BIN + (number if cells > 0 else -number)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _in_cells(coc_px, factor, shrink):
    """CoC in cells, less the blur that reduced cells and their interpolation add by themselves (shrink: 4 x variance)."""
    cells = coc_px / factor
    if shrink > 0:
        size = math.sqrt(max(cells * cells - shrink, np.float32(0)))
        return size if cells > 0 else -size
    return cells


@nb.njit(nogil=True, cache=True, fastmath=True)
def _put_front(front, through, soft, p, colour, alpha):
    soft[p] = alpha <= 1 - _LEAST_ALPHA
    if not soft[p]:
        alpha = np.float32(1)
    for c in range(3):
        front[4 * p + c] = alpha * colour[c]
    front[4 * p + 3] = alpha
    if soft[p]:
        for c in range(4):
            through[4 * p + c] = 1 - alpha


@nb.njit(nogil=True, cache=True, fastmath=True)
def _put_back(back, p, colour):
    for c in range(3):
        back[4 * p + c] = colour[c]
    back[4 * p + 3] = 1


@nb.njit(nogil=True, cache=True, fastmath=True)
def _offer_back(behind, front_coc, back_coc, j, i, rows, columns, step_px):
    """Offers the back of the mixed pixel (j, i) to the pixels round it that hide it; the nearest offer is kept."""
    p = j * columns + i
    for dj in range(-_BACK_REACH, _BACK_REACH + 1):
        for di in range(-_BACK_REACH, _BACK_REACH + 1):
            jj, ii = j + dj, i + di
            if jj < 0 or ii < 0 or jj >= rows or ii >= columns:
                continue
            q = jj * columns + ii
            if back_coc[q] != NOTHING or back_coc[p] >= front_coc[q] - step_px:
                continue
            if behind[q] >= 0:
                oj, oi = behind[q] // columns, behind[q] % columns
                if (oj - jj) ** 2 + (oi - ii) ** 2 <= dj * dj + di * di:
                    continue
            behind[q] = p


@nb.njit(nogil=True, cache=True, fastmath=True)
def split_pixels(
    rgb, coc, steps, hidden_colour, hidden_coc, factor, step_px, prior, top, left, rows, columns, front, through, soft,
    front_coc, back, back_coc, behind,
):  # fmt: skip
    """The window of the photo itself at (top, left): pixels on a depth step taken apart, what they hide behind the others.

    behind (rows * columns,) int32: scratch, the nearest mixed pixel whose back goes on behind this one. The hidden layer
    has cells `factor` times as large.
    """
    height, width = coc.shape
    front_colour, back_colour = np.empty(3, np.float32), np.empty(3, np.float32)
    for j in range(rows):
        y = min(max(top + j, 0), height - 1)
        for i in range(columns):
            x = min(max(left + i, 0), width - 1)
            p = j * columns + i
            behind[p] = -1
            if steps[y, x]:
                alpha, depth, depth_behind = unmix_pixel(
                    rgb, coc, steps, y, x, step_px, prior, front_colour, back_colour
                )
                if depth_behind != NOTHING:
                    _put_front(front, through, soft, p, front_colour, alpha)
                    _put_back(back, p, back_colour)
                    front_coc[p] = depth if alpha >= _LEAST_ALPHA else NOTHING
                    back_coc[p] = depth_behind
                    continue
            _put_front(front, through, soft, p, rgb[y, x], np.float32(1))
            front_coc[p], back_coc[p] = coc[y, x], NOTHING
    for j in range(rows):
        for i in range(columns):
            if back_coc[j * columns + i] != NOTHING:
                _offer_back(behind, front_coc, back_coc, j, i, rows, columns, step_px)
    for j in range(rows):
        y = min(max(top + j, 0), height - 1) // factor
        for i in range(columns):
            x = min(max(left + i, 0), width - 1) // factor
            p = j * columns + i
            if hidden_coc[y, x] == NOTHING or back_coc[p] != NOTHING:
                continue
            q = behind[p]
            if q >= 0:
                for c in range(4):
                    back[4 * p + c] = back[4 * q + c]
                back_coc[p] = back_coc[q]
            elif hidden_coc[y, x] < front_coc[p] - step_px:
                _put_back(back, p, hidden_colour[y, x])
                back_coc[p] = hidden_coc[y, x]


@nb.njit(nogil=True, cache=True, fastmath=True)
def put_deep(
    hidden_colour, hidden_coc, deep_colour, deep_coc, ratio, step_px, top, left, rows, columns, front_coc, back_coc, deep,
    coc,
):  # fmt: skip
    """What lies behind the front and the back of the window at (top, left), from hidden cells `ratio` times as large: the
    nearer of the two hidden surfaces that is farther than both. deep, coc are written."""
    last_y, last_x = hidden_coc.shape[0] - 1, hidden_coc.shape[1] - 1
    for j in range(rows):
        y = min(max((top + j) // ratio, 0), last_y)
        for i in range(columns):
            x = min(max((left + i) // ratio, 0), last_x)
            p = j * columns + i
            coc[p] = NOTHING
            if back_coc[p] == NOTHING:
                continue
            limit = (
                min(back_coc[p], front_coc[p]) - step_px if front_coc[p] != NOTHING else back_coc[p] - step_px
            )
            if NOTHING < hidden_coc[y, x] < limit:
                _put_back(deep, p, hidden_colour[y, x])
                coc[p] = hidden_coc[y, x]
            elif NOTHING < deep_coc[y, x] < limit:
                _put_back(deep, p, deep_colour[y, x])
                coc[p] = deep_coc[y, x]


@nb.njit(nogil=True, cache=True, fastmath=True)
def copy_layers(
    layer_front, layer_front_coc, layer_alpha, layer_back, layer_back_coc, hidden_colour, hidden_coc, step_px, top, left,
    rows, columns, front, through, soft, front_coc, back, back_coc,
):  # fmt: skip
    """The window of reduced layers at (top, left)."""
    height, width = layer_front_coc.shape
    for j in range(rows):
        y = min(max(top + j, 0), height - 1)
        for i in range(columns):
            x = min(max(left + i, 0), width - 1)
            p = j * columns + i
            alpha = layer_alpha[y, x]
            _put_front(front, through, soft, p, layer_front[y, x], alpha)
            front_coc[p] = layer_front_coc[y, x] if alpha >= _LEAST_ALPHA else NOTHING
            back_coc[p] = NOTHING
            if layer_back_coc[y, x] != NOTHING:
                _put_back(back, p, layer_back[y, x])
                back_coc[p] = layer_back_coc[y, x]
            elif hidden_coc[y, x] != NOTHING and hidden_coc[y, x] < layer_front_coc[y, x] - step_px:
                _put_back(back, p, hidden_colour[y, x])
                back_coc[p] = hidden_coc[y, x]


@nb.njit(nogil=True, cache=True, fastmath=True)
def contrast(front, cells):
    """How many times brighter than the mean the brightest cell is."""
    total, most = np.float32(0), np.float32(0)
    for p in range(cells):
        light = front[4 * p] + front[4 * p + 1] + front[4 * p + 2]
        total += light
        most = max(most, light)
    return most * cells / max(total, np.float32(1e-6))


@nb.njit(nogil=True, cache=True, fastmath=True)
def soften(front, front_coc, soft, rows, columns, least_px, widest_px, times, softened):
    """Evens out the colour of unbroken surfaces over 3 x 3 cells (1 2 1) where their |CoC| is at least `least_px`.

    A lens point stands for a piece of the lens, so that each of its views is a little out of focus too; without that a
    bright spot would show the lens points one by one. front is written; times (uint8) counts how often a cell was evened
    out, for `make_runs` to make its CoC smaller by what is added here. softened: scratch of the size of front.
    """
    for j in range(1, rows - 1):
        for i in range(1, columns - 1):
            p = j * columns + i
            here = front_coc[p]
            softened[4 * p + 3] = 0
            if abs(here) < least_px or here == NOTHING or soft[p]:
                continue
            whole = True
            for q in (p - columns, p - 1, p + 1, p + columns):
                whole = whole and not soft[q] and abs(front_coc[q] - here) <= widest_px
            for q in (p - columns - 1, p - columns + 1, p + columns - 1, p + columns + 1):
                whole = whole and not soft[q] and abs(front_coc[q] - here) <= 2 * widest_px
            if not whole:
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


@nb.njit(nogil=True, cache=True, fastmath=True)
def _bin_surface(surface, coc, times, count, shell, bins, sums):
    """bins (count,) of a surface, _NO_BIN for what the shell does not hold; adds to sums (BINS, 4), see `make_runs`."""
    factor, inner, outer, shrink = shell
    for p in range(count):
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


@nb.njit(nogil=True, cache=True, fastmath=True)
def _front_runs(bins, coc, soft, j, columns, widest_px, n, runs):
    """The runs of the front in row j, each continued by a cell where its surface goes on nearer; returns the count."""
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
            runs[0, n], runs[1, n], runs[2, n] = number, j, first - start
            runs[3, n], runs[4, n], runs[5, n] = last - first, first, is_soft
            n += 1
        p = q
    return n


@nb.njit(nogil=True, cache=True, fastmath=True)
def _runs_under(bins, coc, soft, j, rows, columns, widest_px, n, runs):
    """The runs that continue the surfaces of the rows above and below, where they are farther, under row j."""
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
            runs[3, n - 1] += 1
        else:
            runs[0, n], runs[1, n], runs[2, n], runs[3, n], runs[4, n], runs[5, n] = lowest, j, i, 1, p, 0
            open_bin = lowest
            n += 1
    return n


@nb.njit(nogil=True, cache=True, fastmath=True)
def make_runs(surfaces, coc, soft, times, rows, columns, shell, widest_px, bins, sums, runs):
    """Cuts the surfaces of a window into runs; returns how many.

    surfaces: front, back and deep one after the other; coc, bins (3, cells or more). Where one surface runs through several
    bins the farther bin goes on under the nearer one by a cell, so that nothing shows between the two when they are moved
    apart. widest_px: the CoC by which neighbours of one surface may differ. times: of `soften`, cleared here.
    bins int16 and sums (BINS, 4) are written: of each bin the sum of CoC in cells, the number of cells, the sum of light
    and the most light of a cell. runs (6, n) int32: bin, row, first column, cells, source (a cell of `surfaces`), whether
    it is soft.
    """
    cells = rows * columns
    sums[:] = 0
    for k in range(3):
        _bin_surface(
            surfaces[4 * cells * k : 4 * cells * (k + 1)], coc[k], times, cells, shell, bins[k], sums
        )
        times[:cells] = 0
    n = 0
    for j in range(rows):
        n = _front_runs(bins[0], coc[0], soft, j, columns, widest_px, n, runs)
        n = _runs_under(bins[0], coc[0], soft, j, rows, columns, widest_px, n, runs)
        for k in range(1, 3):
            p, end = j * columns, (j + 1) * columns
            while p < end:
                number = bins[k, p]
                q = p + 1
                while q < end and bins[k, q] == number:
                    q += 1
                if number != _NO_BIN:
                    runs[0, n], runs[1, n], runs[2, n] = number, j, p - j * columns
                    runs[3, n], runs[4, n], runs[5, n] = q - p, k * cells + p, 0
                    n += 1
                p = q
    return n


@nb.njit(nogil=True, cache=True)
def order_runs(runs, n, rows, sums, bin_coc, row_start, ordered):
    """Sorts runs by bin, then row. Returns (bins in use, the first of them that is nearer than the focus).

    bin_coc (BINS,): CoC in cells of the bins in use; row_start[b, j]: the first run of row j of bin b, with one entry
    more at the end; ordered (n, 4): first column, cells, source, soft.
    """
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
        row_start[number_of[runs[0, r]], runs[1, r]] += 1
    total = 0
    for b in range(used):
        for j in range(rows):
            count = row_start[b, j]
            row_start[b, j] = total
            total += count
        row_start[b, rows] = total
    for r in range(n):
        b, j = number_of[runs[0, r]], runs[1, r]
        to = row_start[b, j]
        row_start[b, j] = to + 1
        for k in range(4):
            ordered[to, k] = runs[2 + k, r]
    for b in range(used):  # row_start now holds the ends: shift them by one row
        for j in range(rows - 1, 0, -1):
            row_start[b, j] = row_start[b, j - 1]
        row_start[b, 0] = row_start[b - 1, rows] if b > 0 else 0
    return used, first_near
