"""Inner loops of the guided upsampling, compiled by numba. See guided.py; the slow twin is
`learn/networks/guided_upsample.py`.

Windows are (3, side, side) planes or (side, side, 3) of the large picture, beginning at the pixel (top, left), which may lie
outside: what lies there is the nearest pixel of the picture with even sides.
"""

from __future__ import annotations

import numba as nb
import numpy as np

CLASSES = (0, 1, 2, 4, 5, 8, 9, 10, 13, 18)  # squared distances within a kernel of detail, each of one weight
KERNEL_RADIUS = 3
WINDOW_RADIUS = 2  # cells, of the windows in which contrast is compared
BASES = 7
ENLARGED, COPIED, DETAILED, MIXED = 0, 1, 2, 3  # what is done with a tile
TAPS = np.array(
    [
        (CLASSES.index(dy * dy + dx * dx), dy, dx)
        for dy in range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
        for dx in range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
    ],
    np.int64,
)


@nb.njit(nogil=True, cache=True, fastmath=True)
def survey(coc, block, step_px, margin_px, first, last, smallest, largest, left):
    """Rows first..last of blocks: the smallest and largest |CoC|, and how many blocks far steps reach, in `left`."""
    height, width = coc.shape
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    radius = np.empty(left.shape[1], np.float32)
    for by in range(first, last):
        low[:], high[:], radius[:] = 1e9, 0, -margin_px
        for y in range(by * block, min((by + 1) * block, height)):
            here, above, below = coc[y], coc[max(y - 1, 0)], coc[min(y + 1, height - 1)]
            for x in range(width):
                low[x] = min(low[x], abs(here[x]))
                high[x] = max(high[x], abs(here[x]))
            widest = np.float32(0)
            for x in range(width):
                widest = max(widest, abs(here[x] - above[x]))
            if (y + 1) % block == 0:  # else the row below compares the two, in the same blocks
                for x in range(width):
                    widest = max(widest, abs(here[x] - below[x]))
            before, after = here[:-1], here[1:]
            for x in range(width - 1):
                widest = max(widest, abs(before[x] - after[x]))
            if widest > step_px:
                _enter_steps(above, here, below, block, step_px, radius)
        for bx in range(left.shape[1]):
            least, most = low[bx * block], high[bx * block]
            for x in range(bx * block, min((bx + 1) * block, width)):
                least, most = min(least, low[x]), max(most, high[x])
            smallest[by, bx], largest[by, bx] = least, most
            left[by, bx] = np.ceil((radius[bx] + margin_px) / block)


@nb.njit(nogil=True, cache=True)
def _enter_steps(above, here, below, block, step_px, radius):
    """Enters the steps of one row into the radii of its blocks."""
    width = here.shape[0]
    for x in range(width):
        for k in range(4):
            other = (
                above[x]
                if k == 0
                else below[x]
                if k == 1
                else here[max(x - 1, 0) if k == 2 else min(x + 1, width - 1)]
            )
            if abs(other - here[x]) > step_px:
                radius[x // block] = max(radius[x // block], max(here[x], max(other, np.float32(0))))


@nb.njit(nogil=True, cache=True)
def spread(left):
    """1 where a block is within reach of a step, in place: each block hands on one less than it has."""
    rows, columns = left.shape
    for _ in range(int(left.max())):
        before = left.copy()
        for y in range(rows):
            for x in range(columns):
                for yy in range(max(y - 1, 0), min(y + 2, rows)):
                    for xx in range(max(x - 1, 0), min(x + 2, columns)):
                        left[y, x] = max(left[y, x], before[yy, xx] - 1)
    for y in range(rows):
        for x in range(columns):
            left[y, x] = 1 if left[y, x] > 0 else 0


@nb.njit(nogil=True, cache=True, fastmath=True, inline="always")
def _between(far, near, nearest, beyond):
    """A quarter of the way from `nearest` to `near`, no value beyond the four."""
    value = (
        np.float32(-3 / 128) * far
        + np.float32(29 / 128) * near
        + np.float32(111 / 128) * nearest
        - np.float32(9 / 128) * beyond
    )
    low = min(min(far, near), min(nearest, beyond))
    high = max(max(far, near), max(nearest, beyond))
    return min(max(value, low), high)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _line(small, y, first, count, line):
    """`line` (3 * count): row y of the large picture, still in cells, from the cell `first` on. small: (h, 3 w)."""
    rows, columns = small.shape[0], small.shape[1] // 3
    cell = y >> 1
    side = 1 if y & 1 else -1
    before = min(max(-first, 0), count)
    inside = max(min(count, columns - first), before)
    start, end = 3 * (first + before), 3 * (first + inside)
    near = small[min(max(cell + side, 0), rows - 1), start:end]
    far = small[min(max(cell + 2 * side, 0), rows - 1), start:end]
    here, beyond = small[cell, start:end], small[min(max(cell - side, 0), rows - 1), start:end]
    middle = line[3 * before : 3 * inside]
    for i in range(end - start):
        middle[i] = _between(far[i], near[i], here[i], beyond[i])
    for i in range(before):
        line[3 * i : 3 * i + 3] = line[3 * before : 3 * before + 3]
    for i in range(inside, count):
        line[3 * i : 3 * i + 3] = line[3 * inside - 3 : 3 * inside]


@nb.njit(nogil=True, cache=True, fastmath=True)
def enlarge(small, top, left, rows, columns, out):
    """The enlarged `small` (h, 3 w) into out (H, 3 W): so many rows and columns from the pixel (top, left), even, on."""
    cells = (columns + 1) // 2
    line = np.empty(3 * (cells + 4), np.float32)
    one, two = np.empty(3 * cells, np.float32), np.empty(3 * cells, np.float32)
    second, third, fourth, fifth = line[3:], line[6:], line[9:], line[12:]
    for y in range(top, top + rows):
        _line(small, y, left // 2 - 2, cells + 4, line)
        for i in range(3 * cells):
            one[i] = _between(line[i], second[i], third[i], fourth[i])
        for i in range(3 * cells):
            two[i] = _between(fifth[i], fourth[i], third[i], second[i])
        row = out[y, 3 * left : 3 * (left + columns)]
        for x in range(columns // 2):
            row[6 * x], row[6 * x + 1], row[6 * x + 2] = one[3 * x], one[3 * x + 1], one[3 * x + 2]
            row[6 * x + 3], row[6 * x + 4], row[6 * x + 5] = two[3 * x], two[3 * x + 1], two[3 * x + 2]
        if columns % 2:
            row[-3:] = one[-3:]


@nb.njit(nogil=True, cache=True, fastmath=True)
def enlarge_planes(small, top, left, out):
    """`out` (3, side, side): the window of the enlarged `small` (h, 3 w) at (top, left), both odd."""
    rows, columns = small.shape[0], small.shape[1] // 3
    side = out.shape[1]
    cells = side // 2 + 2
    first = (left >> 1) - 2
    line = np.empty(3 * (cells + 4), np.float32)
    lines = np.empty((3, cells + 4), np.float32)
    one, two = np.empty(cells, np.float32), np.empty(cells, np.float32)
    for y in range(side):
        yy = min(max(top + y, 0), 2 * rows - 1)
        _line(small, yy, first, cells + 4, line)
        for c in range(3):
            for x in range(cells + 4):
                lines[c, x] = line[3 * x + c]
            here = lines[c]
            second, third, fourth, fifth = here[1:], here[2:], here[3:], here[4:]
            for x in range(cells):
                one[x] = _between(here[x], second[x], third[x], fourth[x])
            for x in range(cells):
                two[x] = _between(fifth[x], fourth[x], third[x], second[x])
            for x in range(side):
                xx = min(max(left + x, 0), 2 * columns - 1)
                cell = (xx >> 1) - first - 2
                out[c, y, x] = two[cell] if xx & 1 else one[cell]


@nb.njit(nogil=True, cache=True)
def windows(rgb, coc, top, left, detail, coc_window):
    """detail (3, side, side), the window of the enlarged half, becomes the photo less that; coc_window (side, side)."""
    height, width = coc.shape
    side = coc_window.shape[0]
    rows, columns = height + (height & 1), width + (width & 1)
    for y in range(side):
        yy = min(min(max(top + y, 0), rows - 1), height - 1)
        for x in range(side):
            xx = min(min(max(left + x, 0), columns - 1), width - 1)
            coc_window[y, x] = coc[yy, xx]
            for c in range(3):
                detail[c, y, x] = rgb[yy, xx, c] - detail[c, y, x]


@nb.njit(nogil=True, cache=True, fastmath=True)
def add_detail(detail, coc_window, table, node_px, taps, enlarged, rows, columns, out):
    """out (rows, columns, 3): the enlarged blur and what a blur leaves of the detail. Windows begin KERNEL_RADIUS before."""
    nodes, classes = table.shape
    weights = np.empty((classes, columns), np.float32)
    total, counted = np.empty((3, columns), np.float32), np.empty(columns, np.float32)
    for y in range(rows):
        own = coc_window[y + KERNEL_RADIUS, KERNEL_RADIUS : KERNEL_RADIUS + columns]
        nearest = np.float32(1e9)
        for x in range(columns):
            size = min(abs(own[x]) / node_px, np.float32(nodes - 1))
            nearest = min(nearest, size)
            low = min(int(size), nodes - 2)
            along = size - low
            for k in range(classes):
                weights[k, x] = table[low, k] + along * (table[low + 1, k] - table[low, k])
        for c in range(3):
            for x in range(columns):
                total[c, x] = enlarged[c, y + KERNEL_RADIUS, x + KERNEL_RADIUS]
        for n in range(taps.shape[0] if nearest < nodes - 1 else 0):
            k, dy, dx = taps[n, 0], taps[n, 1] + KERNEL_RADIUS, taps[n, 2] + KERNEL_RADIUS
            there, weight = coc_window[y + dy, dx : dx + columns], weights[k]
            for x in range(columns):
                same = np.float32(1.5) - abs(there[x] - own[x])
                counted[x] = weight[x] * min(max(same, np.float32(0)), np.float32(1))
            for c in range(3):
                sum_of, part = total[c], detail[c, y + dy, dx : dx + columns]
                for x in range(columns):
                    sum_of[x] += counted[x] * part[x]
        for x in range(columns):
            for c in range(3):
                out[y, x, c] = max(total[c, x], np.float32(0))


@nb.njit(nogil=True, cache=True)
def mark_changed(half, small, absolute, relative, first, last, changed):
    """Rows first..last of changed (h, w): 1 where the small blur is not the photo's own half."""
    for y in range(first, last):
        for x in range(half.shape[1]):
            differs = False
            for c in range(3):
                differs |= abs(small[y, x, c] - half[y, x, c]) > absolute + relative * half[y, x, c]
            changed[y, x] = 1 if differs else 0


@nb.njit(nogil=True, cache=True)
def put_untouched(rgb, coc, changed, sharp_px, top, left, high, wide, out):
    """Puts the photo into out where it is sharp and nothing changed in the cells around, from the pixel (top, left)."""
    rows, columns = changed.shape
    for cy in range((high + 1) // 2):
        for cx in range((wide + 1) // 2):
            y0, x0 = top // 2 + cy, left // 2 + cx
            still = True
            for yy in range(max(y0 - 1, 0), min(y0 + 2, rows)):
                for xx in range(max(x0 - 1, 0), min(x0 + 2, columns)):
                    still &= changed[yy, xx] == 0
            if not still:
                continue
            for y in range(2 * cy, min(2 * cy + 2, high)):
                for x in range(2 * cx, min(2 * cx + 2, wide)):
                    if abs(coc[top + y, left + x]) < sharp_px:
                        for c in range(3):
                            out[y, x, c] = rgb[top + y, left + x, c]


@nb.njit(nogil=True, cache=True, inline="always")
def _root(value):
    return np.sqrt(min(max(value, np.float32(1e-6)), np.float32(4)))


@nb.njit(nogil=True, cache=True, fastmath=True)
def features(rgb, coc, half, small, first_row, first_column, out):
    """out (24, n, n): what the network sees of the cells from (first_row, first_column) on, which may lie outside."""
    height, width = coc.shape
    rows, columns = half.shape[:2]
    side = out.shape[1]
    for v in range(side):
        cy = min(max(first_row + v, 0), rows - 1)
        for u in range(side):
            cx = min(max(first_column + u, 0), columns - 1)
            for k in range(4):
                y, x = min(2 * cy + k // 2, height - 1), min(2 * cx + k % 2, width - 1)
                for c in range(3):
                    out[4 * c + k, v, u] = _root(rgb[y, x, c])
                here = coc[y, x]
                out[12 + k, v, u] = min(abs(here), np.float32(8)) * np.float32(0.25)
                out[16 + k, v, u] = min(max(here, np.float32(-16)), np.float32(16)) * np.float32(0.125)
            for c in range(3):
                out[20 + c, v, u] = _root(small[cy, cx, c])
    _slopes(half, small, first_row, first_column, out[23])


@nb.njit(nogil=True, cache=True, fastmath=True)
def _slopes(half, small, first_row, first_column, out):
    """out (n, n): how much of the photo's contrast the small blur holds, in windows of WINDOW_RADIUS."""
    rows, columns = half.shape[:2]
    side, wide = out.shape[0], out.shape[0] + 2 * WINDOW_RADIUS
    third, share = np.float32(1 / 3), np.float32(1 / (2 * WINDOW_RADIUS + 1) ** 2)
    planes = np.empty((4, wide, wide), np.float32)
    across = np.empty((4, wide, side), np.float32)
    low_row, low_column = max(first_row, 0) - WINDOW_RADIUS, max(first_column, 0) - WINDOW_RADIUS
    for v in range(wide):
        cy = min(max(low_row + v, 0), rows - 1)
        for u in range(wide):
            cx = min(max(low_column + u, 0), columns - 1)
            own = third * (_root(half[cy, cx, 0]) + _root(half[cy, cx, 1]) + _root(half[cy, cx, 2]))
            there = third * (_root(small[cy, cx, 0]) + _root(small[cy, cx, 1]) + _root(small[cy, cx, 2]))
            planes[0, v, u], planes[1, v, u] = own, there
            planes[2, v, u], planes[3, v, u] = own * own, own * there
    for k in range(4):
        for v in range(wide):
            for u in range(side):
                total = np.float32(0)
                for d in range(2 * WINDOW_RADIUS + 1):
                    total += planes[k, v, u + d]
                across[k, v, u] = total
    sums = np.empty(4, np.float32)
    for v in range(side):
        at = min(max(first_row + v, 0), rows - 1) - low_row - WINDOW_RADIUS
        for u in range(side):
            column = min(max(first_column + u, 0), columns - 1) - low_column - WINDOW_RADIUS
            for k in range(4):
                total = np.float32(0)
                for d in range(2 * WINDOW_RADIUS + 1):
                    total += across[k, at + d, column]
                sums[k] = total * share
            variance = max(sums[2] - sums[0] * sums[0], np.float32(0))
            value = (sums[3] - sums[0] * sums[1]) / (variance + np.float32(1e-3))
            out[v, u] = min(max(value, np.float32(-1)), np.float32(2))


@nb.njit(nogil=True, cache=True, fastmath=True)
def mix(rgb, coc, enlarged, reached, block, detailed_px, logits, top, left, high, wide, out):
    """out (rows, columns, 3) holds the enlarged blur with its detail; where steps are within reach the network mixes it."""
    height, width = coc.shape
    all_px, none_px = detailed_px
    blocks_down, blocks_across = reached.shape
    for cy in range((high + 1) // 2):
        for cx in range((wide + 1) // 2):
            smallest = np.float32(1e9)
            for yy in range(max(top + 2 * cy - 2, 0), min(top + 2 * cy + 4, height)):
                for xx in range(max(left + 2 * cx - 2, 0), min(left + 2 * cx + 4, width)):
                    smallest = min(smallest, abs(coc[yy, xx]))
            detailed = min((none_px - smallest) / (none_px - all_px), np.float32(1))
            if detailed <= 0:
                continue
            for k in range(4):
                y, x = 2 * cy + k // 2, 2 * cx + k % 2
                if y >= high or x >= wide:
                    continue
                v = min(max((top + y + np.float32(0.5)) / block - np.float32(0.5), 0), blocks_down - 1)
                u = min(max((left + x + np.float32(0.5)) / block - np.float32(0.5), 0), blocks_across - 1)
                y0, x0 = int(v), int(u)
                y1, x1 = min(y0 + 1, blocks_down - 1), min(x0 + 1, blocks_across - 1)
                down, across = np.float32(v - y0), np.float32(u - x0)
                share = detailed * (
                    (1 - down) * ((1 - across) * reached[y0, x0] + across * reached[y0, x1])
                    + down * ((1 - across) * reached[y1, x0] + across * reached[y1, x1])
                )
                if share <= 0:
                    continue
                shares, total = np.empty(BASES, np.float32), np.float32(0)
                for n in range(BASES):
                    logit = logits[4 * n + k, cy, cx]
                    shares[n] = 1 + logit if logit > 0 else 1 / (1 - logit)
                    total += shares[n]
                wy, wx = y + KERNEL_RADIUS, x + KERNEL_RADIUS
                for c in range(3):
                    mixed = (
                        shares[0] * out[y, x, c]
                        + shares[1] * rgb[top + y, left + x, c]
                        + shares[2] * enlarged[c, wy, wx]
                        + shares[3] * enlarged[c, wy, wx - 2]
                        + shares[4] * enlarged[c, wy, wx + 2]
                        + shares[5] * enlarged[c, wy - 2, wx]
                        + shares[6] * enlarged[c, wy + 2, wx]
                    )
                    out[y, x, c] += share * (mixed / total - out[y, x, c])


@nb.njit(nogil=True, cache=True)
def classify(smallest, largest, reached, changed, block, tile, detailed_px, network_px, sharp_px, kinds):
    """kinds (rows, columns) of tiles: ENLARGED, COPIED, DETAILED or MIXED."""
    blocks, cells = tile // block, tile // 2
    for ty in range(kinds.shape[0]):
        for tx in range(kinds.shape[1]):
            least, most, around, met = np.float32(1e9), np.float32(0), np.float32(1e9), np.float32(0)
            for y in range(max(ty * blocks - 1, 0), min((ty + 1) * blocks + 1, smallest.shape[0])):
                for x in range(max(tx * blocks - 1, 0), min((tx + 1) * blocks + 1, smallest.shape[1])):
                    around, met = min(around, smallest[y, x]), max(met, reached[y, x])
                    if y // blocks == ty and x // blocks == tx:
                        least, most = min(least, smallest[y, x]), max(most, largest[y, x])
            kinds[ty, tx] = DETAILED
            if met > 0 and around < network_px:
                kinds[ty, tx] = MIXED
            elif least >= detailed_px:
                kinds[ty, tx] = ENLARGED
            if most < sharp_px:
                same = True
                for y in range(max(ty * cells - 1, 0), min((ty + 1) * cells + 1, changed.shape[0])):
                    for x in range(max(tx * cells - 1, 0), min((tx + 1) * cells + 1, changed.shape[1])):
                        same &= changed[y, x] == 0
                if same:
                    kinds[ty, tx] = COPIED
