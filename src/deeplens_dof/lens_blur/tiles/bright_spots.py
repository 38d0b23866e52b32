"""Bright spots on surfaces whose depth changes, where plain sums would put the edge of their discs in the wrong place.

On a plain surface each cell gathers light with its own CoC, but light spreads with the CoC of its source. Where a spot is
many times as bright as its surroundings, the difference shows.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.tiles.block_stats import BLOCK
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Image, Marks, Mask, Plane

BRIGHTER = 6.0  # times its surroundings: a spot whose disc has a visible edge
SAME_CELLS, SAME_SHARE = (
    0.5,
    0.04,
)  # CoC that differ by less, in cells or as a share of the spot's own, are the same


class _BlockLight(NamedTuple):
    """Light (sum of the channels) and CoC (photo px) of blocks, each (rows, columns)."""

    mean: Plane
    brightest: Plane
    brightest_coc: Plane  # of the brightest cell
    low: Plane  # smallest CoC
    high: Plane  # largest CoC


def reached_by_bright_spots(
    colour: Image, coc_px: Plane, factor: int, shape: tuple[int, ...], pool: Executor
) -> Mask:
    """The blocks, of a grid of that shape, reached by light of a bright spot whose CoC differs from theirs."""
    found = _BlockLight(*(np.zeros(shape, np.float32) for _ in range(5)))
    reached = np.zeros(shape, np.uint8)
    rows = -(-coc_px.shape[0] // BLOCK)
    for done in [pool.submit(_measure, colour, coc_px, row, found) for row in range(rows)]:
        done.result()
    _mark_reached(found, float(factor), reached)
    marked: Mask = reached > 0
    return marked


@compiled(fastmath=True)
def _measure(colour: Image, coc: Plane, row: int, found: _BlockLight) -> None:
    """Writes one row of blocks of `found`."""
    mean, brightest, brightest_coc = found.mean, found.brightest, found.brightest_coc
    low, high = found.low, found.high
    height, width = coc.shape
    last = min((row + 1) * BLOCK, height)
    for bx in range((width + BLOCK - 1) // BLOCK):
        right = min((bx + 1) * BLOCK, width)
        total, most, most_coc = np.float32(0), np.float32(-1), np.float32(0)
        least_coc, largest_coc = np.float32(1e9), np.float32(-1e9)
        for y in range(row * BLOCK, last):
            for x in range(bx * BLOCK, right):
                here = coc[y, x]
                light = colour[y, x, 0] + colour[y, x, 1] + colour[y, x, 2]
                total += light
                least_coc, largest_coc = min(least_coc, here), max(largest_coc, here)
                if light > most:
                    most, most_coc = light, here
        mean[row, bx] = total / ((last - row * BLOCK) * (right - bx * BLOCK))
        brightest[row, bx], brightest_coc[row, bx] = most, most_coc
        low[row, bx], high[row, bx] = least_coc, largest_coc


@compiled()
def _mark_reached(found: _BlockLight, factor: float, reached: Marks) -> None:
    """Marks the blocks that light of each bright spot reaches with another CoC."""
    mean, brightest, brightest_coc = found.mean, found.brightest, found.brightest_coc
    low, high = found.low, found.high
    rows, columns = mean.shape
    for by in range(rows):
        for bx in range(columns):
            light, coc = brightest[by, bx], brightest_coc[by, bx]
            far = abs(coc) / factor
            if far < 2 or light < BRIGHTER * mean[by, bx]:
                continue
            slack = max(SAME_CELLS, SAME_SHARE * far) * factor
            n = int(math.ceil((far + 1) / BLOCK))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    off = max(high[yy, xx] - coc, coc - low[yy, xx])
                    if off > slack and light > BRIGHTER * mean[yy, xx]:
                        reached[yy, xx] = 1
