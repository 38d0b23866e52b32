"""Bright spots on surfaces whose depth changes: where a plain blur would put the edge of their discs in the wrong place.

A plain surface is blurred by what each cell gathers with its own CoC. Light spreads with the CoC of the place it comes
from, and where a spot is many times as bright as its surroundings that difference shows.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor

import numba as nb
import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.tiles.block_stats import BLOCK, FloatArray

BRIGHTER = 6.0  # than its surroundings is a spot whose disc has an edge to be seen
SAME_CELLS, SAME_SHARE = 0.5, 0.04  # CoC that differ by less, in cells or of the spot's own, are the same


def met_by_lamps(
    colour: FloatArray, coc_px: FloatArray, factor: int, shape: tuple[int, int], pool: Executor
) -> npt.NDArray[np.bool_]:
    """The blocks, of a grid of that shape, which light of a bright spot reaches that has another CoC than they have."""
    light, lamp, lamp_coc, low, high = (np.zeros(shape, np.float32) for _ in range(5))
    met = np.zeros(shape, np.uint8)

    def band(row: int) -> None:
        _lights(colour, coc_px, BLOCK, row, light, lamp, lamp_coc, low, high)

    for done in [pool.submit(band, row) for row in range(-(-coc_px.shape[0] // BLOCK))]:
        done.result()
    _spread_lamps(light, lamp, lamp_coc, low, high, float(factor), BLOCK, met)
    found: npt.NDArray[np.bool_] = met > 0
    return found


@nb.njit(nogil=True, cache=True, fastmath=True)
def _lights(colour, coc, block, row, light, lamp, lamp_coc, low, high):
    """One row of blocks: mean light, the most light of a cell and its CoC, the smallest and the largest CoC."""
    height, width = coc.shape
    last = min((row + 1) * block, height)
    for bx in range((width + block - 1) // block):
        right = min((bx + 1) * block, width)
        total, most, most_coc = np.float32(0), np.float32(-1), np.float32(0)
        least_coc, largest_coc = np.float32(1e9), np.float32(-1e9)
        for y in range(row * block, last):
            for x in range(bx * block, right):
                here = coc[y, x]
                shine = colour[y, x, 0] + colour[y, x, 1] + colour[y, x, 2]
                total += shine
                least_coc, largest_coc = min(least_coc, here), max(largest_coc, here)
                if shine > most:
                    most, most_coc = shine, here
        light[row, bx] = total / ((last - row * block) * (right - bx * block))
        lamp[row, bx], lamp_coc[row, bx] = most, most_coc
        low[row, bx], high[row, bx] = least_coc, largest_coc


@nb.njit(nogil=True, cache=True)
def _spread_lamps(light, lamp, lamp_coc, low, high, factor, block, met):
    rows, columns = light.shape
    for by in range(rows):
        for bx in range(columns):
            far = abs(lamp_coc[by, bx]) / factor
            if far < 2 or lamp[by, bx] < BRIGHTER * light[by, bx]:
                continue
            slack = max(SAME_CELLS, SAME_SHARE * far) * factor
            n = int(math.ceil((far + 1) / block))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    off = max(high[yy, xx] - lamp_coc[by, bx], lamp_coc[by, bx] - low[yy, xx])
                    if off > slack and lamp[by, bx] > BRIGHTER * light[yy, xx]:
                        met[yy, xx] = 1
