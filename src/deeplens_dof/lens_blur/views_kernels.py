"""Inner loops of views.py, compiled by numba: fragments of one tile, and the mean of what each lens point sees of them.

A fragment is one surface at one cell: position, CoC, colour and an alpha. Its row in `place` is
(x, y, coc in cells, alpha, hash, whether it is stretched), in `key` its order in depth and its own index, in `side`
where the cells of its side begin.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .kernels import NOTHING, unmix_pixel

_DEPTH_STEPS = 64.0  # of the z-buffer, to a cell of CoC
_DEPTH_ZERO = 1 << 13
_INDEX_BITS = 17
_INDEX = (1 << _INDEX_BITS) - 1
MOST_FRAGMENTS = _INDEX - 1
LARGEST_CELLS = 120.0  # of CoC that fit the keys
_WIDE_SLOPE = 0.02  # CoC gradient above which a surface is stretched enough to tear


@nb.njit(nogil=True, cache=True, fastmath=True)
def _can_reach(busy, x, y, radius, tile):
    """Whether a fragment at (x, y) can be seen in a busy block of the tile."""
    if x < -radius or y < -radius or x > tile - 1 + radius or y > tile - 1 + radius:
        return False
    blocks = busy.shape[0]
    block = tile // blocks
    y0, y1 = max(int(y - radius), 0) // block, min(int(y + radius), tile - 1) // block
    x0, x1 = max(int(x - radius), 0) // block, min(int(x + radius), tile - 1) // block
    for j in range(y0, y1 + 1):
        for i in range(x0, x1 + 1):
            if busy[j, i]:
                return True
    return False


@nb.njit(nogil=True, cache=True, fastmath=True)
def _emit(n, x, y, coc_px, alpha, r, g, b, wide, shell, busy, tile, place, colour, key, side):
    """Appends a fragment if it belongs to the shell and can reach the tile; returns the new count.

    shell: (factor, inner, outer, shrink): the CoC radii in photo pixels that it holds, and 4 x the variance in cells^2
    that its cells add to a blur. A surface that runs from one shell into the next is cut there: both sides of the cut
    have the same CoC, move together and complete each other, and the weights divide out what is counted less than once.
    """
    factor, inner, outer, shrink = shell
    size = abs(coc_px)
    near = coc_px > 0 or inner <= 0
    if size >= outer or (size < inner and inner > 0) or alpha < 0.01:
        return n
    alpha = 1.0 if alpha > 0.99 else alpha
    radius = math.sqrt(max((size / factor) ** 2 - shrink, 0.0))
    if not _can_reach(busy, x, y, radius + 1.5, tile):
        return n
    coc = radius if coc_px > 0 else -radius
    place[n, 0], place[n, 1], place[n, 2], place[n, 3] = x, y, coc, alpha
    place[n, 4] = (x * 0.7548776662 + y * 0.5698402910) % 1.0
    place[n, 5] = 1.0 if wide else 0.0
    colour[n, 0], colour[n, 1], colour[n, 2] = r, g, b
    key[n] = (np.int32(coc * _DEPTH_STEPS + _DEPTH_ZERO) << _INDEX_BITS) | np.int32(n + 1)
    side[n] = tile * tile if near else 0
    return n + 1


@nb.njit(nogil=True, cache=True, fastmath=True)
def _stretched(coc, y, x, step_px, factor):
    """Whether the surface at (y, x) slopes so much that moved apart its cells would tear; never beside a depth step,
    where a wider splat would move the border."""
    height, width = coc.shape
    here, steepest = coc[y, x], np.float32(0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            yy, xx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
            steepest = max(steepest, abs(coc[yy, xx] - here))
    return steepest > _WIDE_SLOPE * factor and steepest <= step_px


@nb.njit(nogil=True, cache=True, fastmath=True)
def pixel_fragments(
    rgb,
    coc,
    steps,
    hidden_colour,
    hidden_coc,
    shell,
    busy,
    step_px,
    prior,
    top,
    left,
    tile,
    reach,
    place,
    colour,
    key,
    side,
):
    """Fragments of the photo itself round one tile at (top, left); the hidden layer has its own, coarser, cells."""
    height, width = coc.shape
    factor = (height + hidden_coc.shape[0] - 1) // hidden_coc.shape[0]
    side_cells = tile + 2 * reach
    front = np.empty((side_cells, side_cells, 3), np.float32)
    back = np.empty((side_cells, side_cells, 3), np.float32)
    split = np.empty((side_cells, side_cells, 3), np.float32)  # alpha, CoC in front, CoC behind
    for j in range(side_cells):
        y = min(max(top + j - reach, 0), height - 1)
        for i in range(side_cells):
            x = min(max(left + i - reach, 0), width - 1)
            split[j, i, 2] = NOTHING
            if steps[y, x]:
                share, depth, behind = unmix_pixel(
                    rgb, coc, steps, y, x, step_px, prior, front[j, i], back[j, i]
                )
                split[j, i, 0], split[j, i, 1], split[j, i, 2] = share, depth, behind
    n = 0
    for j in range(side_cells):
        y, ly = min(max(top + j - reach, 0), height - 1), j - reach
        for i in range(side_cells):
            x, lx = min(max(left + i - reach, 0), width - 1), i - reach
            depth = coc[y, x]
            if split[j, i, 2] != NOTHING:
                n = _emit(
                    n, lx, ly, split[j, i, 1], split[j, i, 0], front[j, i, 0], front[j, i, 1], front[j, i, 2], False,
                    shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
                n = _emit(
                    n, lx, ly, split[j, i, 2], np.float32(1.0), back[j, i, 0], back[j, i, 1], back[j, i, 2], False,
                    shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
                continue
            wide = _stretched(coc, y, x, step_px, 1.0)
            n = _emit(
                n, lx, ly, depth, np.float32(1.0), rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2], wide, shell, busy, tile, place,
                colour, key, side,
            )  # fmt: skip
            hy, hx = y // factor, x // factor
            if hidden_coc[hy, hx] == NOTHING:
                continue
            sj, si = _nearest_back(split, j, i, depth - step_px)
            if sj >= 0:
                n = _emit(
                    n, lx, ly, split[sj, si, 2], np.float32(1.0), back[sj, si, 0], back[sj, si, 1], back[sj, si, 2],
                    False, shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
            elif hidden_coc[hy, hx] < depth - step_px:
                n = _emit(
                    n, lx, ly, hidden_coc[hy, hx], np.float32(1.0), hidden_colour[hy, hx, 0],
                    hidden_colour[hy, hx, 1], hidden_colour[hy, hx, 2], False, shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
    return n


@nb.njit(nogil=True, cache=True, fastmath=True)
def _nearest_back(split, j, i, below):
    """The nearest pixel within 3 whose back lies farther than `below`, or (-1, -1)."""
    rows, columns = split.shape[:2]
    best, best_j, best_i = 1000, -1, -1
    for dj in range(-3, 4):
        for di in range(-3, 4):
            jj, ii = j + dj, i + di
            distance = dj * dj + di * di
            if jj < 0 or ii < 0 or jj >= rows or ii >= columns or distance >= best:
                continue
            if split[jj, ii, 2] != NOTHING and split[jj, ii, 2] < below:
                best, best_j, best_i = distance, jj, ii
    return best_j, best_i


@nb.njit(nogil=True, cache=True, fastmath=True)
def layer_fragments(
    front, front_coc, alpha, back, back_coc, hidden_colour, hidden_coc, shell, busy, step_px, top, left, tile, reach, place,
    colour, key, side,
):  # fmt: skip
    """Fragments of reduced layers round one tile at (top, left)."""
    height, width = front_coc.shape
    factor = shell[0]
    n = 0
    for ly in range(-reach, tile + reach):
        y = min(max(top + ly, 0), height - 1)
        for lx in range(-reach, tile + reach):
            x = min(max(left + lx, 0), width - 1)
            depth = front_coc[y, x]
            plain = back_coc[y, x] == NOTHING
            wide = plain and _stretched(front_coc, y, x, step_px, factor)
            n = _emit(
                n, lx, ly, depth, alpha[y, x], front[y, x, 0], front[y, x, 1], front[y, x, 2], wide, shell, busy, tile, place,
                colour, key, side,
            )  # fmt: skip
            if not plain:
                n = _emit(
                    n, lx, ly, back_coc[y, x], np.float32(1.0), back[y, x, 0], back[y, x, 1], back[y, x, 2], False,
                    shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
            elif hidden_coc[y, x] != NOTHING and hidden_coc[y, x] < depth - step_px:
                n = _emit(
                    n, lx, ly, hidden_coc[y, x], np.float32(1.0), hidden_colour[y, x, 0], hidden_colour[y, x, 1],
                    hidden_colour[y, x, 2], False, shell, busy, tile, place, colour, key, side,
                )  # fmt: skip
    return n


@nb.njit(nogil=True, cache=True, fastmath=True)
def _splat_whole(position, coc, key, side, ux, uy, size, nearest):
    """One view of opaque fragments: each to the cell it is seen in, the nearest wins. nearest (2 * size * size) keys: the
    far side's cells, then the near side's."""
    for i in range(coc.shape[0]):
        tx = np.int32(position[i, 0] + coc[i] * ux + np.float32(4096.5)) - np.int32(4096)
        ty = np.int32(position[i, 1] + coc[i] * uy + np.float32(4096.5)) - np.int32(4096)
        if 0 <= tx < size and 0 <= ty < size:
            p = side[i] + ty * size + tx
            nearest[p] = max(nearest[p], key[i])


@nb.njit(nogil=True, cache=True, fastmath=True)
def _splat_partial(which, place, key, side, ux, uy, threshold, size, nearest):
    """One view of the fragments `which`, transparent or stretched ones: alpha against the view's threshold and the
    fragment's hash; a stretched one also to the three cells it leans on, behind whatever is really there."""
    behind = np.int32(_DEPTH_STEPS * 0.75) << _INDEX_BITS
    for i in which:
        if place[i, 3] < 1.0:
            level = threshold + place[i, 4]
            if level >= 1.0:
                level -= 1.0
            if level >= place[i, 3]:
                continue
        fx, fy = place[i, 0] + place[i, 2] * ux + 4096.5, place[i, 1] + place[i, 2] * uy + 4096.5
        tx, ty = np.int32(fx) - 4096, np.int32(fy) - 4096
        if 0 <= tx < size and 0 <= ty < size:
            p = side[i] + ty * size + tx
            nearest[p] = max(nearest[p], key[i])
        if place[i, 5] > 0:
            sx = tx + 1 if fx - 4096.5 > tx else tx - 1
            sy = ty + 1 if fy - 4096.5 > ty else ty - 1
            lower = key[i] - behind
            for k in range(3):
                wx, wy = (sx if k != 1 else tx), (sy if k != 0 else ty)
                if 0 <= wx < size and 0 <= wy < size:
                    p = side[i] + wy * size + wx
                    nearest[p] = max(nearest[p], lower)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _tear(nearest, p, stride, place):
    """Index + 1 of the fragment that closes a one-cell tear between two cells that were neighbours, else 0."""
    a, b = nearest[p - stride] & _INDEX, nearest[p + stride] & _INDEX
    if a == 0 or b == 0:
        return np.int32(0)
    dx, dy = place[a - 1, 0] - place[b - 1, 0], place[a - 1, 1] - place[b - 1, 1]
    return np.int32(a) if abs(dx) <= 2 and abs(dy) <= 2 else np.int32(0)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _seen(nearest, base, y, x, size, place):
    """Index + 1 of the fragment seen at (y, x) of one side, 0 for none."""
    p = base + y * size + x
    i = np.int32(nearest[p] & _INDEX)
    if i == 0 and 0 < x < size - 1:
        i = _tear(nearest, p, 1, place)
    if i == 0 and 0 < y < size - 1:
        i = _tear(nearest, p, size, place)
    return i


@nb.njit(nogil=True, cache=True, fastmath=True)
def mean_view(n, place, colour, key, side, has_far, points, thresholds, size, busy, total):
    """total (size, size, 8): mean over the lens points of near colour and coverage, then far colour and coverage.

    The far ones count where no near fragment stands in front of them in that view: what is seen stays one picture.
    side (n,): where a fragment's cells begin in the buffer, 0 far, size * size near. Only busy blocks are written.
    """
    plane = size * size
    nearest = np.zeros(2 * plane, np.int32)
    still = np.zeros(2 * plane, np.int32)
    partial = np.empty(n, np.int32)
    position, coc = np.empty((n, 2), np.float32), np.empty(n, np.float32)
    whole_key, whole_side = np.empty(n, np.int32), np.empty(n, np.int32)
    partials, whole = 0, 0
    for i in range(n):
        if place[i, 3] < 1.0 or place[i, 5] > 0:
            partial[partials] = i
            partials += 1
        elif abs(place[i, 2]) < 0.49:  # no lens point sees it elsewhere: put down once
            x, y = int(place[i, 0]), int(place[i, 1])
            if 0 <= x < size and 0 <= y < size:
                p = side[i] + y * size + x
                still[p] = max(still[p], key[i])
        else:
            position[whole, 0], position[whole, 1], coc[whole] = place[i, 0], place[i, 1], place[i, 2]
            whole_key[whole], whole_side[whole] = key[i], side[i]
            whole += 1
    block = size // busy.shape[0]
    for k in range(points.shape[0]):
        ux, uy = points[k, 0], points[k, 1]
        if has_far:
            nearest[:] = still
        else:
            nearest[plane:] = still[plane:]
        _splat_whole(position, coc[:whole], whole_key, whole_side, ux, uy, size, nearest)
        _splat_partial(partial[:partials], place, key, side, ux, uy, thresholds[k], size, nearest)
        for by in range(busy.shape[0]):
            for bx in range(busy.shape[1]):
                if busy[by, bx]:
                    _add_view(nearest, place, colour, has_far, size, by * block, bx * block, block, total)
    scale = np.float32(1.0 / points.shape[0])
    for y in range(size):
        for x in range(size):
            if busy[y // block, x // block]:
                for c in range(8):
                    total[y, x, c] *= scale


@nb.njit(nogil=True, cache=True, fastmath=True)
def _add_view(nearest, place, colour, has_far, size, top, left, block, total):
    """Adds what one view sees in one block."""
    plane = size * size
    for y in range(top, top + block):
        for x in range(left, left + block):
            channel = 0
            i = np.int32(nearest[plane + y * size + x] & _INDEX)
            if i == 0:
                i = _seen(nearest, plane, y, x, size, place)
            if i == 0 and has_far:
                channel = 4
                i = _seen(nearest, 0, y, x, size, place)
            if i > 0:
                total[y, x, channel] += colour[i - 1, 0]
                total[y, x, channel + 1] += colour[i - 1, 1]
                total[y, x, channel + 2] += colour[i - 1, 2]
                total[y, x, channel + 3] += np.float32(1.0)


@nb.njit(nogil=True, cache=True, fastmath=True)
def join_shell(sharp, shell_total, factor, top, left):
    """Puts one shell round what is sharper than it, in place: sharp (h, w, 4) premultiplied colour and alpha.

    shell_total (rows, columns, 8) on its own cells, read by a quadratic B-spline (three taps a side, no overshoot).
    What is near covers, what is far shows where neither the near nor the sharp stand in front of it.
    """
    rows, columns = shell_total.shape[:2]
    value = np.zeros(8, np.float32)
    for y in range(sharp.shape[0]):
        v = (top + y + 0.5) / factor - 0.5
        cy = int(math.floor(v + 0.5))
        dv = v - cy
        wy = (0.5 * (0.5 - dv) ** 2, 0.75 - dv * dv, 0.5 * (0.5 + dv) ** 2)
        for x in range(sharp.shape[1]):
            u = (left + x + 0.5) / factor - 0.5
            cx = int(math.floor(u + 0.5))
            du = u - cx
            wx = (0.5 * (0.5 - du) ** 2, 0.75 - du * du, 0.5 * (0.5 + du) ** 2)
            value[:] = 0
            for j in range(3):
                row = min(max(cy + j - 1, 0), rows - 1)
                for i in range(3):
                    column = min(max(cx + i - 1, 0), columns - 1)
                    weight = np.float32(wy[j] * wx[i])
                    for c in range(8):
                        value[c] += weight * shell_total[row, column, c]
            through, open_ = 1 - value[3], 1 - sharp[y, x, 3]
            for c in range(4):
                sharp[y, x, c] = value[c] + through * sharp[y, x, c] + open_ * value[4 + c]
