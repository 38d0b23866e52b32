"""Layers at half the size, from the photo or from larger layers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.lens_blur.layers.unmix import unmix_pixel
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Marks, Plane

_BAND_ROWS = 64


def half_size(rgb: Image, coc_px: Plane, steps: Marks, pool: Executor) -> Layers:
    """The layers of a photo at half its size, odd sizes rounded up; `steps` of `depth_steps`."""
    height, width = coc_px.shape
    layers = Layers.empty(2, -(-height // 2), -(-width // 2))
    _in_bands(lambda first, last: _reduce_pixels(rgb, coc_px, steps, first, last, layers), layers, pool)
    return layers


def halve(layers: Layers, pool: Executor) -> Layers:
    """The same layers at half the size, odd sizes rounded up."""
    height, width = layers.front_coc.shape
    smaller = Layers.empty(2 * layers.factor, -(-height // 2), -(-width // 2))
    _in_bands(lambda first, last: _reduce_layers(layers, first, last, smaller), smaller, pool)
    return smaller


def _in_bands(work: Callable[[int, int], None], layers: Layers, pool: Executor) -> None:
    """Calls `work(first, last)` for bands of rows that cover the layers."""
    rows = layers.front_coc.shape[0]
    bands = [(first, min(first + _BAND_ROWS, rows)) for first in range(0, rows, _BAND_ROWS)]
    for done in [pool.submit(work, *band) for band in bands]:
        done.result()


@compiled(fastmath=True)
def _add_to_cell(sums: Array, colour: Array, coc: np.float32, weight: np.float32, middle: np.float32) -> None:
    """Adds a surface to sums (2, 5): colour (3), CoC and weight of those in front of `middle` (row 1) and behind (row 0)."""
    if weight <= 0:
        return
    side = 1 if coc > middle else 0
    sums[side, 0] += weight * colour[0]
    sums[side, 1] += weight * colour[1]
    sums[side, 2] += weight * colour[2]
    sums[side, 3] += weight * coc
    sums[side, 4] += weight


@compiled(fastmath=True)
def _store_cell(
    sums: Array,  # (2, 5)
    y: int,
    x: int,
    front: Image,  # (h, w, 3), like all below a part of the layers that are written
    front_coc: Plane,
    alpha: Plane,
    back: Image,
    back_coc: Plane,
) -> None:
    """Writes one cell of layers from its sums."""
    total = sums[0, 4] + sums[1, 4]
    both = sums[0, 4] > 1e-4 * total and sums[1, 4] > 1e-4 * total
    f = 1 if both or sums[1, 4] > sums[0, 4] else 0
    for k in range(3):
        front[y, x, k] = sums[f, k] / sums[f, 4]
    front_coc[y, x] = sums[f, 3] / sums[f, 4]
    if not both:
        alpha[y, x] = 1.0
        back[y, x, 0], back[y, x, 1], back[y, x, 2] = 0.0, 0.0, 0.0
        back_coc[y, x] = NOTHING
        return
    alpha[y, x] = sums[1, 4] / total
    for k in range(3):
        back[y, x, k] = sums[0, k] / sums[0, 4]
    back_coc[y, x] = sums[0, 3] / sums[0, 4]


@compiled(fastmath=True)
def _reduce_pixels(
    rgb: Image,  # (H, W, 3)
    coc: Plane,  # (H, W)
    steps: Marks,  # (H, W)
    first: int,
    last: int,
    out: Layers,  # half the size
) -> None:
    """Writes rows first..last of `out` from the photo: 2x2 pixels to a cell."""
    front, front_coc, alpha, back, back_coc = out.front, out.front_coc, out.alpha, out.back, out.back_coc
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
                    front_colour, back_colour = colours[n], colours[n + 1]
                    share, depth, depth_behind = unmix_pixel(
                        rgb, coc, steps, yy, xx, front_colour, back_colour
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
            middle = 0.5 * (low + high) if high - low > STEP_PX else NOTHING
            sums[:] = 0
            for i in range(n):
                _add_to_cell(sums, colours[i], cocs[i], weights[i], middle)
            _store_cell(sums, y, x, front, front_coc, alpha, back, back_coc)


@compiled(fastmath=True)
def _reduce_layers(layers: Layers, first: int, last: int, out: Layers) -> None:
    """Writes rows first..last of `out`, half the size of `layers`."""
    front_in, front_coc_in, alpha_in = layers.front, layers.front_coc, layers.alpha
    back_in, back_coc_in = layers.back, layers.back_coc
    front, front_coc, alpha, back, back_coc = out.front, out.front_coc, out.alpha, out.back, out.back_coc
    height, width = front_coc_in.shape
    sums = np.zeros((2, 5), np.float32)
    for y in range(first, last):
        for x in range(front_coc.shape[1]):
            y0, y1, x0, x1 = 2 * y, min(2 * y + 1, height - 1), 2 * x, min(2 * x + 1, width - 1)
            p, q, r, s = (
                front_coc_in[y0, x0],
                front_coc_in[y0, x1],
                front_coc_in[y1, x0],
                front_coc_in[y1, x1],
            )
            farthest_back = max(
                max(back_coc_in[y0, x0], back_coc_in[y0, x1]), max(back_coc_in[y1, x0], back_coc_in[y1, x1])
            )
            if farthest_back == NOTHING and max(max(p, q), max(r, s)) - min(min(p, q), min(r, s)) <= STEP_PX:
                for c in range(3):
                    front[y, x, c] = 0.25 * (
                        front_in[y0, x0, c] + front_in[y0, x1, c] + front_in[y1, x0, c] + front_in[y1, x1, c]
                    )
                    back[y, x, c] = 0
                front_coc[y, x], alpha[y, x], back_coc[y, x] = 0.25 * (p + q + r + s), 1, NOTHING
                continue
            low, high = np.float32(1e9), np.float32(-1e9)
            for k in range(4):
                yy, xx = min(2 * y + k // 2, height - 1), min(2 * x + k % 2, width - 1)
                low, high = min(low, front_coc_in[yy, xx]), max(high, front_coc_in[yy, xx])
                if back_coc_in[yy, xx] != NOTHING:
                    low, high = min(low, back_coc_in[yy, xx]), max(high, back_coc_in[yy, xx])
            middle = 0.5 * (low + high) if high - low > STEP_PX else NOTHING
            sums[:] = 0
            for k in range(4):
                yy, xx = min(2 * y + k // 2, height - 1), min(2 * x + k % 2, width - 1)
                _add_to_cell(sums, front_in[yy, xx], front_coc_in[yy, xx], alpha_in[yy, xx], middle)
                if back_coc_in[yy, xx] != NOTHING:
                    _add_to_cell(sums, back_in[yy, xx], back_coc_in[yy, xx], 1 - alpha_in[yy, xx], middle)
            _store_cell(sums, y, x, front, front_coc, alpha, back, back_coc)
