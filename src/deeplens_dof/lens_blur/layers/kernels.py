"""Inner loops of the lens blur, compiled by numba. Nothing here decides anything: see layers.py, complete.py, views.py.

Arrays are float32 unless said otherwise; `coc` is the signed circle of confusion in pixels of the array it lies on.
"""

from __future__ import annotations

import numba as nb
import numpy as np

NOTHING = np.float32(-1e9)  # CoC of a fragment that is not there
_NEARNESS = np.exp(-np.arange(9.0))  # weight of a pixel by its squared distance


@nb.njit(nogil=True, cache=True, fastmath=True)
def mark_steps(coc, step_px, steps):
    """steps (H, W) uint8: 1 on both pixels of a neighbouring pair whose CoC differs by more than step_px."""
    height, width = coc.shape
    steps[:] = 0
    for y in range(height):
        for x in range(width - 1):
            if abs(coc[y, x] - coc[y, x + 1]) > step_px:
                steps[y, x] = 1
                steps[y, x + 1] = 1
    for y in range(height - 1):
        for x in range(width):
            if abs(coc[y, x] - coc[y + 1, x]) > step_px:
                steps[y, x] = 1
                steps[y + 1, x] = 1


@nb.njit(nogil=True, cache=True, fastmath=True)
def unmix_pixel(rgb, coc, steps, y, x, step_px, prior, front, back):
    """Splits one pixel on a depth step into the surface in front and the one behind.

    front, back: (3,) colours, written. Returns (alpha of the front, coc of the front, coc of the back); the back's is
    NOTHING when the pixel lies on no step. Colours come from the pure pixels of either side nearby, alpha from where the
    pixel lies between them (towards the coverage of the 3x3 neighbourhood where their contrast is below `prior`); the side
    that dominates keeps what the mixture leaves, so that alpha * front + (1 - alpha) * back is the pixel again.
    """
    height, width = coc.shape
    low, high = np.float32(1e9), np.float32(-1e9)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            value = coc[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
            low, high = min(low, value), max(high, value)
    here = coc[y, x]
    if high - low <= step_px:
        return np.float32(1.0), here, NOTHING
    middle = 0.5 * (low + high)
    weight_f, weight_b, depth_f, depth_b, depth_weight_f, depth_weight_b, cover = (
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
    )
    f0, f1, f2, b0, b1, b2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for dy in range(-2, 3):
        yy = y + dy
        if yy < 0 or yy >= height:
            continue
        for dx in range(-2, 3):
            xx = x + dx
            if xx < 0 or xx >= width:
                continue
            near = _NEARNESS[dx * dx + dy * dy]
            pure = near * (0.03 if steps[yy, xx] else 1.0)
            cubed = near * near * near
            value = coc[yy, xx]
            if value > middle:
                f0 += pure * rgb[yy, xx, 0]
                f1 += pure * rgb[yy, xx, 1]
                f2 += pure * rgb[yy, xx, 2]
                weight_f += pure
                depth_f += cubed * value
                depth_weight_f += cubed
                if abs(dx) <= 1 and abs(dy) <= 1:
                    cover += (2 - abs(dx)) * (2 - abs(dy)) / 16.0
            else:
                b0 += pure * rgb[yy, xx, 0]
                b1 += pure * rgb[yy, xx, 1]
                b2 += pure * rgb[yy, xx, 2]
                weight_b += pure
                depth_b += cubed * value
                depth_weight_b += cubed
    if weight_f <= 0 or weight_b <= 0:
        return np.float32(1.0), here, NOTHING
    f0, f1, f2 = f0 / weight_f, f1 / weight_f, f2 / weight_f
    b0, b1, b2 = b0 / weight_b, b1 / weight_b, b2 / weight_b
    r, g, b = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
    d0, d1, d2 = f0 - b0, f1 - b1, f2 - b2
    contrast = d0 * d0 + d1 * d1 + d2 * d2
    doubt = prior * 0.5 * (f0 * f0 + f1 * f1 + f2 * f2 + b0 * b0 + b1 * b1 + b2 * b2) + 1e-12
    trust = contrast * contrast / (contrast * contrast + doubt * doubt)
    along = ((r - b0) * d0 + (g - b1) * d1 + (b - b2) * d2) / max(contrast, 1e-12)
    alpha = trust * min(max(along, 0.0), 1.0) + (1 - trust) * cover
    if here > middle:
        alpha = min(max(alpha, 0.5), 1.0)
        depth_f, depth_b = here, depth_b / depth_weight_b
    else:
        alpha = min(max(alpha, 0.0), 0.5)
        depth_f, depth_b = depth_f / depth_weight_f, here
    if alpha >= 0.5:
        f0, f1, f2 = (
            (r - (1 - alpha) * b0) / alpha,
            (g - (1 - alpha) * b1) / alpha,
            (b - (1 - alpha) * b2) / alpha,
        )
    else:
        rest = 1 - alpha
        b0, b1, b2 = (r - alpha * f0) / rest, (g - alpha * f1) / rest, (b - alpha * f2) / rest
    front[0], front[1], front[2] = max(f0, 0.0), max(f1, 0.0), max(f2, 0.0)
    back[0], back[1], back[2] = max(b0, 0.0), max(b1, 0.0), max(b2, 0.0)
    return np.float32(alpha), np.float32(depth_f), np.float32(depth_b)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _add_to_cell(sums, colour, coc, weight, middle):
    """sums (2, 5): weighted colour, coc and weight of the surfaces in front of `middle` (row 1) and behind (row 0)."""
    if weight <= 0:
        return
    side = 1 if coc > middle else 0
    sums[side, 0] += weight * colour[0]
    sums[side, 1] += weight * colour[1]
    sums[side, 2] += weight * colour[2]
    sums[side, 3] += weight * coc
    sums[side, 4] += weight


@nb.njit(nogil=True, cache=True, fastmath=True)
def _store_cell(sums, y, x, front, front_coc, alpha, back, back_coc):
    """One cell of layers from its sums: the front with its share of the cell, and what is behind it."""
    total = sums[0, 4] + sums[1, 4]
    only = (
        -1
        if sums[0, 4] > 1e-4 * total and sums[1, 4] > 1e-4 * total
        else (1 if sums[1, 4] > sums[0, 4] else 0)
    )
    f = only if only >= 0 else 1
    for k in range(3):
        front[y, x, k] = sums[f, k] / sums[f, 4]
    front_coc[y, x] = sums[f, 3] / sums[f, 4]
    if only >= 0:
        alpha[y, x] = 1.0
        back[y, x, 0], back[y, x, 1], back[y, x, 2] = 0.0, 0.0, 0.0
        back_coc[y, x] = NOTHING
        return
    alpha[y, x] = sums[1, 4] / total
    for k in range(3):
        back[y, x, k] = sums[0, k] / sums[0, 4]
    back_coc[y, x] = sums[0, 3] / sums[0, 4]


@nb.njit(nogil=True, cache=True, fastmath=True)
def reduce_pixels(rgb, coc, steps, step_px, prior, first, last, front, front_coc, alpha, back, back_coc):
    """Layers at half size from the photo itself, rows first..last of the half-size arrays: 2x2 pixels to a cell."""
    height, width = coc.shape
    sums = np.zeros((2, 5), np.float32)
    colours = np.zeros((8, 3), np.float32)
    cocs = np.zeros(8, np.float32)
    weights = np.zeros(8, np.float32)
    for y in range(first, last):
        for x in range(front_coc.shape[1]):
            y0, y1, x0, x1 = 2 * y, min(2 * y + 1, height - 1), 2 * x, min(2 * x + 1, width - 1)
            if not (steps[y0, x0] or steps[y0, x1] or steps[y1, x0] or steps[y1, x1]):
                for c in range(3):
                    front[y, x, c] = 0.25 * (
                        rgb[y0, x0, c] + rgb[y0, x1, c] + rgb[y1, x0, c] + rgb[y1, x1, c]
                    )
                    back[y, x, c] = 0
                front_coc[y, x] = 0.25 * (coc[y0, x0] + coc[y0, x1] + coc[y1, x0] + coc[y1, x1])
                alpha[y, x] = 1
                back_coc[y, x] = NOTHING
                continue
            low, high = np.float32(1e9), np.float32(-1e9)
            n = 0
            for k in range(4):
                yy, xx = min(2 * y + k // 2, height - 1), min(2 * x + k % 2, width - 1)
                share, depth, depth_behind = np.float32(1.0), coc[yy, xx], NOTHING
                if steps[yy, xx]:
                    share, depth, depth_behind = unmix_pixel(
                        rgb, coc, steps, yy, xx, step_px, prior, colours[n], colours[n + 1]
                    )
                if depth_behind == NOTHING:
                    for c in range(3):
                        colours[n, c] = rgb[yy, xx, c]
                cocs[n], weights[n] = depth, share
                low, high = min(low, depth), max(high, depth)
                n += 1
                if depth_behind != NOTHING:
                    cocs[n], weights[n] = depth_behind, 1 - share
                    low, high = min(low, depth_behind), max(high, depth_behind)
                    n += 1
            middle = 0.5 * (low + high) if high - low > step_px else np.float32(-1e9)
            sums[:] = 0
            for i in range(n):
                _add_to_cell(sums, colours[i], cocs[i], weights[i], middle)
            _store_cell(sums, y, x, front, front_coc, alpha, back, back_coc)


@nb.njit(nogil=True, cache=True, fastmath=True)
def reduce_layers(
    step_px, f_in, fc_in, a_in, b_in, bc_in, first, last, front, front_coc, alpha, back, back_coc
):
    """Layers at half the size of layers (suffix _in), rows first..last of the result."""
    height, width = fc_in.shape
    sums = np.zeros((2, 5), np.float32)
    for y in range(first, last):
        for x in range(front_coc.shape[1]):
            y0, y1, x0, x1 = 2 * y, min(2 * y + 1, height - 1), 2 * x, min(2 * x + 1, width - 1)
            p, q, r, s = fc_in[y0, x0], fc_in[y0, x1], fc_in[y1, x0], fc_in[y1, x1]
            farthest_back = max(max(bc_in[y0, x0], bc_in[y0, x1]), max(bc_in[y1, x0], bc_in[y1, x1]))
            if farthest_back == NOTHING and max(max(p, q), max(r, s)) - min(min(p, q), min(r, s)) <= step_px:
                for c in range(3):
                    front[y, x, c] = 0.25 * (
                        f_in[y0, x0, c] + f_in[y0, x1, c] + f_in[y1, x0, c] + f_in[y1, x1, c]
                    )
                    back[y, x, c] = 0
                front_coc[y, x], alpha[y, x], back_coc[y, x] = 0.25 * (p + q + r + s), 1, NOTHING
                continue
            low, high = np.float32(1e9), np.float32(-1e9)
            for k in range(4):
                yy, xx = min(2 * y + k // 2, height - 1), min(2 * x + k % 2, width - 1)
                low, high = min(low, fc_in[yy, xx]), max(high, fc_in[yy, xx])
                if bc_in[yy, xx] != NOTHING:
                    low, high = min(low, bc_in[yy, xx]), max(high, bc_in[yy, xx])
            middle = 0.5 * (low + high) if high - low > step_px else np.float32(-1e9)
            sums[:] = 0
            for k in range(4):
                yy, xx = min(2 * y + k // 2, height - 1), min(2 * x + k % 2, width - 1)
                _add_to_cell(sums, f_in[yy, xx], fc_in[yy, xx], a_in[yy, xx], middle)
                if bc_in[yy, xx] != NOTHING:
                    _add_to_cell(sums, b_in[yy, xx], bc_in[yy, xx], 1 - a_in[yy, xx], middle)
            _store_cell(sums, y, x, front, front_coc, alpha, back, back_coc)


@nb.njit(nogil=True, cache=True, fastmath=True)
def nearest_farther(seen_coc, source_coc, step_px, factor, margin, source):
    """source (H, W) int32: for each cell the index of the nearest cell whose surface reaches behind it, or -1.

    seen_coc: the surface that hides; source_coc: the farthest surface that shows in a cell. A surface reaches behind
    another as far as the lens can look behind it: the difference of their circles of confusion, and `margin` cells.
    Two rounds of four-neighbour sweeps (Danielsson 1980).
    """
    height, width = seen_coc.shape
    for y in range(height):
        for x in range(width):
            source[y, x] = y * width + x if seen_coc[y, x] - source_coc[y, x] > step_px else -1
    for y in range(height):  # a farther neighbour is a source even where it is not a mixture itself
        for x in range(width):
            lowest = seen_coc[y, x] - step_px
            if source[y, x] < 0:
                for k in range(4):
                    yy, xx = (y, x + 2 * k - 1) if k < 2 else (y + 2 * k - 5, x)
                    if 0 <= yy < height and 0 <= xx < width and source_coc[yy, xx] < lowest:
                        lowest = source_coc[yy, xx]
                        source[y, x] = yy * width + xx
    for sweep in range(4):
        s = 1 if sweep % 2 == 0 else -1
        for row in range(height):
            y = row if s == 1 else height - 1 - row
            for column in range(width):
                x = column if s == 1 else width - 1 - column
                best_index = np.int64(source[y, x])
                if best_index == y * width + x:
                    continue
                here = seen_coc[y, x]
                best = 1e18
                if best_index >= 0:
                    sy, sx = best_index // width, best_index % width
                    best = float((sy - y) ** 2 + (sx - x) ** 2)
                for k in range(4):
                    yy, xx = (y, x - s) if k == 0 else (y - s, x + (k - 2) * s)
                    if yy < 0 or xx < 0 or yy >= height or xx >= width:
                        continue
                    candidate = np.int64(source[yy, xx])
                    if candidate < 0:
                        continue
                    sy, sx = candidate // width, candidate % width
                    gap = here - source_coc[sy, sx]
                    if gap <= step_px:
                        continue
                    distance = float((sy - y) ** 2 + (sx - x) ** 2)
                    if distance < best and distance <= (gap / factor + margin) ** 2:
                        best, best_index = distance, candidate
                source[y, x] = best_index


@nb.njit(nogil=True, cache=True, fastmath=True)
def nearest_behind(seen_coc, source_coc, first, step_px, factor, margin, source):
    """source (H, W) int32: as `nearest_farther`, of the surface behind the one that `first` found, or -1.

    Behind a leaf lies another leaf, and behind both the wall: where the lens looks past both it must be there. It is found
    among what the cells beside were given, first or behind.
    """
    height, width = seen_coc.shape
    source[:] = -1
    for sweep in range(4):
        s = 1 if sweep % 2 == 0 else -1
        for row in range(height):
            y = row if s == 1 else height - 1 - row
            for column in range(width):
                x = column if s == 1 else width - 1 - column
                if first[y, x] < 0:
                    continue
                best_index = np.int64(source[y, x])
                nearer = source_coc[first[y, x] // width, first[y, x] % width]
                best = 1e18
                if best_index >= 0:
                    best = float((best_index // width - y) ** 2 + (best_index % width - x) ** 2)
                for k in range(4):
                    yy, xx = (y, x - s) if k == 0 else (y - s, x + (k - 2) * s)
                    if yy < 0 or xx < 0 or yy >= height or xx >= width:
                        continue
                    for which in range(2):
                        candidate = np.int64(first[yy, xx] if which == 0 else source[yy, xx])
                        if candidate < 0:
                            continue
                        sy, sx = candidate // width, candidate % width
                        if nearer - source_coc[sy, sx] <= step_px:
                            continue
                        distance = float((sy - y) ** 2 + (sx - x) ** 2)
                        gap = seen_coc[y, x] - source_coc[sy, sx]
                        if distance < best and distance <= (gap / factor + margin) ** 2:
                            best, best_index = distance, candidate
                source[y, x] = best_index


@nb.njit(nogil=True, cache=True)
def carry(source, source_coc, has_back, front, back, colour, coc):
    """Writes colour (H, W, 3) and coc (H, W) of the cells that `source` names; coc is NOTHING where it names none."""
    height, width = source.shape
    for y in range(height):
        for x in range(width):
            at = np.int64(source[y, x])
            if at < 0:
                coc[y, x] = NOTHING
                continue
            sy, sx = at // width, at % width
            coc[y, x] = source_coc[sy, sx]
            for c in range(3):
                colour[y, x, c] = back[sy, sx, c] if has_back[sy, sx] else front[sy, sx, c]


@nb.njit(nogil=True, cache=True, fastmath=True)
def smooth_hidden(source, colour, coc, step_px, rounds):
    """Evens out colour (H, W, 3) and coc (H, W) of the hidden cells in place, along surfaces of about one CoC."""
    height, width = coc.shape
    carried = np.empty(height * width, np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            if source[y, x] >= 0 and source[y, x] != y * width + x:
                carried[n] = y * width + x
                n += 1
    for round_ in range(rounds):
        for k in range(n):
            at = carried[k if round_ % 2 == 0 else n - 1 - k]
            y, x = at // width, at % width
            weight, c0, c1, c2, depth = 0.0, 0.0, 0.0, 0.0, 0.0
            for yy in range(max(y - 1, 0), min(y + 2, height)):
                for xx in range(max(x - 1, 0), min(x + 2, width)):
                    if source[yy, xx] < 0 or abs(coc[yy, xx] - coc[y, x]) > step_px:
                        continue
                    weight += 1
                    c0 += colour[yy, xx, 0]
                    c1 += colour[yy, xx, 1]
                    c2 += colour[yy, xx, 2]
                    depth += coc[yy, xx]
            if weight > 0:
                colour[y, x, 0], colour[y, x, 1], colour[y, x, 2] = c0 / weight, c1 / weight, c2 / weight
                coc[y, x] = depth / weight
