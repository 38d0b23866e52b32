"""Inner loops of guided upsampling, compiled by numba. See guided_upsample.py; the slow twin is
`learn/networks/guided_upsample.py`.

Windows are (3, side, side) planes or (side, side, 3) of the large picture that begin at the pixel (top, left), which may lie
outside: pixels there repeat the nearest one of the picture with even sides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.baselines.guided_maps import (
    GUIDED_BLOCK,
    NO_DETAIL_PX,
    UNTOUCHED_PX,
    GuidedPicture,
)
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Plane, Planes

ALL_DETAIL_PX = np.float32(6)  # smallest CoC nearby up to which the network decides alone
NODE_PX = np.float32(0.25)  # CoC between the kernels of detail
CLASSES = (0, 1, 2, 4, 5, 8, 9, 10, 13, 18)  # squared distances within a kernel of detail, each of one weight
KERNEL_RADIUS = 3
WINDOW_RADIUS = 2  # cells, of the windows in which contrast is compared
BASES = 7
TAPS = np.array(
    [
        (CLASSES.index(dy * dy + dx * dx), dy, dx)
        for dy in range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
        for dx in range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
    ],
    np.int64,
)


class Area(NamedTuple):
    """A tile of the large picture, px."""

    top: int
    left: int
    rows: int
    columns: int


@compiled(fastmath=True, inline=True)
def _between(far: np.float32, near: np.float32, nearest: np.float32, beyond: np.float32) -> np.float32:
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


@compiled(fastmath=True)
def _line(small: Array, y: int, first: int, count: int, line: Array) -> None:
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


@compiled(fastmath=True)
def enlarge(small: Array, area: Area, out: Array) -> None:
    """Writes an area of out (H, 3 W), which begins at an even pixel: `small` (h, 3 w) enlarged."""
    top, left, rows, columns = area
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


@compiled(fastmath=True)
def enlarge_planes(small: Array, top: int, left: int, out: Planes) -> None:
    """out (3, side, side): the window of the enlarged `small` (h, 3 w) at (top, left), both odd."""
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


@compiled()
def detail_window(rgb: Image, coc: Plane, top: int, left: int, detail: Planes, coc_window: Plane) -> None:
    """detail (3, side, side), a window of the enlarged half, becomes the photo less that; coc_window (side, side)."""
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


@compiled(fastmath=True)
def add_detail(
    detail: Planes,  # (3, side, side), like the other windows beginning KERNEL_RADIUS before `out`
    coc_window: Plane,  # (side, side)
    enlarged: Planes,  # (3, side, side)
    table: Array,  # (nodes, classes), kernels of detail by CoC
    rows: int,
    columns: int,
    out: Image,  # (rows, columns, 3) or more, written
) -> None:
    """The enlarged blur, and the detail that a blur of that CoC leaves."""
    nodes, classes = table.shape
    weights = np.empty((classes, columns), np.float32)
    total, counted = np.empty((3, columns), np.float32), np.empty(columns, np.float32)
    for y in range(rows):
        own = coc_window[y + KERNEL_RADIUS, KERNEL_RADIUS : KERNEL_RADIUS + columns]
        nearest = np.float32(1e9)
        for x in range(columns):
            size = min(abs(own[x]) / NODE_PX, np.float32(nodes - 1))
            nearest = min(nearest, size)
            low = min(int(size), nodes - 2)
            along = size - low
            for k in range(classes):
                weights[k, x] = table[low, k] + along * (table[low + 1, k] - table[low, k])
        for c in range(3):
            for x in range(columns):
                total[c, x] = enlarged[c, y + KERNEL_RADIUS, x + KERNEL_RADIUS]
        for n in range(TAPS.shape[0] if nearest < nodes - 1 else 0):
            k, dy, dx = TAPS[n, 0], TAPS[n, 1] + KERNEL_RADIUS, TAPS[n, 2] + KERNEL_RADIUS
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


@compiled()
def put_untouched(picture: GuidedPicture, area: Area, out: Image) -> None:
    """Copies the photo into out (rows, columns, 3) where it is sharp and nothing changed in the cells around."""
    rgb, coc, changed = picture.rgb, picture.coc_px, picture.changed
    top, left, high, wide = area
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
                    if abs(coc[top + y, left + x]) < UNTOUCHED_PX:
                        for c in range(3):
                            out[y, x, c] = rgb[top + y, left + x, c]


@compiled(inline=True)
def _root(value: np.float32) -> np.float32:
    """A root that is finite in slope, up to light 4."""
    root: np.float32 = np.sqrt(min(max(value, np.float32(1e-6)), np.float32(4)))
    return root


@compiled(fastmath=True)
def features(picture: GuidedPicture, first_row: int, first_column: int, out: Planes) -> None:
    """out (24, n, n): the network's input for the cells from (first_row, first_column) on, which may lie outside."""
    rgb, coc, half, small = picture.rgb, picture.coc_px, picture.half, picture.blurred
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


@compiled(fastmath=True)
def _slopes(half: Image, small: Image, first_row: int, first_column: int, out: Plane) -> None:
    """out (n, n): the share of the photo's contrast that its blur keeps, in windows of WINDOW_RADIUS."""
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


@compiled(fastmath=True)
def mix(
    picture: GuidedPicture,
    enlarged: Planes,  # (3, side, side), window of the enlarged blur
    logits: Planes,  # (4 * BASES, n, n), of the network
    area: Area,
    out: Image,  # (rows, columns, 3), the enlarged blur with its detail; changed in place
) -> None:
    """Mixes `out` by the network's shares where depth steps are within reach."""
    rgb, coc, reached = picture.rgb, picture.coc_px, picture.reached
    top, left, high, wide = area
    height, width = coc.shape
    blocks_down, blocks_across = reached.shape
    for cy in range((high + 1) // 2):
        for cx in range((wide + 1) // 2):
            smallest = np.float32(1e9)
            for yy in range(max(top + 2 * cy - 2, 0), min(top + 2 * cy + 4, height)):
                for xx in range(max(left + 2 * cx - 2, 0), min(left + 2 * cx + 4, width)):
                    smallest = min(smallest, abs(coc[yy, xx]))
            detailed = min((NO_DETAIL_PX - smallest) / (NO_DETAIL_PX - ALL_DETAIL_PX), np.float32(1))
            if detailed <= 0:
                continue
            for k in range(4):
                y, x = 2 * cy + k // 2, 2 * cx + k % 2
                if y >= high or x >= wide:
                    continue
                v = min(max((top + y + np.float32(0.5)) / GUIDED_BLOCK - np.float32(0.5), 0), blocks_down - 1)
                u = min(
                    max((left + x + np.float32(0.5)) / GUIDED_BLOCK - np.float32(0.5), 0), blocks_across - 1
                )
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
