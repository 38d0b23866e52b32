"""Which blocks of a picture are rendered in which way: where light meets a depth step, and how far it comes.

One pass over the cells (`survey`) collects what each block holds; everything else works on blocks.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

BLOCK = 16  # cells a side that are rendered in one way
STILL_CELLS = 1.0  # a surface with a smaller CoC looks nearly the same from every lens point
FAR, IN_FOCUS, NEAR = 0, 1, 2  # sides of the focus
Blocks = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the blocks (rows, columns) of one level hold; CoC in photo pixels, without the shell's bounds.

    low, smallest, largest: the smallest CoC, the smallest and the largest |CoC| of what is seen; `largest` of what is
    hidden too. radius, nearest (ranges, 3, rows, columns): of the surfaces beside or behind a depth step the largest
    |CoC| and the nearest CoC, by range of |CoC| and side of the focus; -1 and -1e9 where there are none.
    """

    low: FloatArray
    smallest: FloatArray
    largest: FloatArray
    radius: FloatArray
    nearest: FloatArray

    @classmethod
    def of(
        cls,
        steps: Blocks,
        coc: FloatArray,
        hidden_coc: FloatArray,
        deep_coc: FloatArray,
        ratio: int,
        bounds: tuple[float, ...],
        factor: int,
        tile: int,
        pool: Executor,
    ) -> Survey:
        """ratio: cells to a hidden cell's side. bounds: |CoC| at which the ranges begin, the last one open. Whole tiles of
        blocks."""
        rows, columns = (-(-side // tile) * tile // BLOCK for side in coc.shape)
        planes = [np.empty((rows, columns), np.float32) for _ in range(3)]
        both = [np.empty((len(bounds), 3, rows, columns), np.float32) for _ in range(2)]
        found = cls(*planes, *both)
        begins = np.array(bounds, np.float32)

        def band(row: int) -> None:
            _survey(
                steps, coc, hidden_coc, deep_coc, ratio, begins, float(factor), BLOCK, row, *planes, *both
            )

        for done in [pool.submit(band, row) for row in range(rows)]:
            done.result()
        return found

    def reach(self, factor: int) -> FloatArray:
        """The largest |CoC|, in cells, of what may be seen in each block, plain surfaces included."""
        reached = np.empty_like(self.low)
        _reach_of_all(self.largest, float(factor), BLOCK, reached)
        return reached

    def met_by_steps(
        self, ranges: slice, factor: int, step_px: float, margin: float
    ) -> npt.NDArray[np.bool_]:
        """The blocks in which light of these ranges meets a depth step. margin: cells by which a border may be off.

        A far surface is not seen in a block where everything lies in front of it, unless something in front moves away,
        and then that meets a step there itself.
        """
        everywhere = np.full_like(self.low, -1e9)
        met = np.zeros((2, *self.low.shape), np.uint8)
        for side in (FAR, IN_FOCUS, NEAR):
            for which, low, some in ((0, self.low, slice(None)), (1, everywhere, ranges)):
                radius, nearest = self.radius[some, side].max(0), self.nearest[some, side].max(0)
                _spread(radius, nearest, low, float(factor), step_px, BLOCK, margin, met[which])
        both: npt.NDArray[np.bool_] = (met[0] > 0) & (met[1] > 0)
        return both


@nb.njit(nogil=True, cache=True)
def _survey(
    steps,
    coc,
    hidden_coc,
    deep_coc,
    ratio,
    begins,
    factor,
    block,
    row,
    low,
    smallest,
    largest,
    radius,
    nearest,
):
    """One row of blocks of a `Survey`."""
    height, width = coc.shape
    ranges = begins.shape[0]
    low[row], smallest[row], largest[row] = 1e9, 1e9, 0
    radius[:, :, row], nearest[:, :, row] = -1, -1e9
    for y in range(row * block, min((row + 1) * block, height)):
        for bx in range((width + block - 1) // block):
            least, least_size, most_size = low[row, bx], smallest[row, bx], largest[row, bx]
            for x in range(bx * block, min((bx + 1) * block, width)):
                here = coc[y, x]
                least, least_size = min(least, here), min(least_size, abs(here))
                most_size = max(most_size, abs(here))
            low[row, bx], smallest[row, bx], largest[row, bx] = least, least_size, most_size
        for x in range(width):
            if steps[y, x]:
                _enter(coc[y, x], x // block, begins, ranges, factor, row, radius, nearest)
        if y % ratio == 0:
            for x in range(0, width, ratio):
                for hidden in (hidden_coc[y // ratio, x // ratio], deep_coc[y // ratio, x // ratio]):
                    if hidden > -1e8:
                        _enter(hidden, x // block, begins, ranges, factor, row, radius, nearest)
                        largest[row, x // block] = max(largest[row, x // block], abs(hidden))


@nb.njit(nogil=True, cache=True)
def _enter(value, bx, begins, ranges, factor, row, radius, nearest):
    size = abs(value)
    which = 0
    while which + 1 < ranges and size >= begins[which + 1]:
        which += 1
    if size < begins[which]:
        return
    side = IN_FOCUS if size <= STILL_CELLS * factor else (NEAR if value > 0 else FAR)
    radius[which, side, row, bx] = max(radius[which, side, row, bx], size)
    nearest[which, side, row, bx] = max(nearest[which, side, row, bx], value)


@nb.njit(nogil=True, cache=True)
def _spread(radius, nearest, low, factor, step_px, block, margin, met):
    """Marks in `met` the blocks within `radius` of each block, unless all of them lie in front of `nearest`."""
    rows, columns = radius.shape
    for by in range(rows):
        for bx in range(columns):
            if radius[by, bx] < 0:
                continue
            far = radius[by, bx] / factor + margin
            n = int(math.ceil(far / block))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    gap_y, gap_x = max(abs(yy - by) - 1, 0) * block, max(abs(xx - bx) - 1, 0) * block
                    if (
                        gap_y * gap_y + gap_x * gap_x <= far * far
                        and low[yy, xx] <= nearest[by, bx] + step_px
                    ):
                        met[yy, xx] = 1


@nb.njit(nogil=True, cache=True)
def _reach_of_all(largest, factor, block, reach):
    rows, columns = largest.shape
    reach[:] = 0
    for by in range(rows):
        for bx in range(columns):
            far = largest[by, bx] / factor
            n = int(math.ceil(far / block))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    gap_y, gap_x = max(abs(yy - by) - 1, 0) * block, max(abs(xx - bx) - 1, 0) * block
                    if gap_y * gap_y + gap_x * gap_x <= far * far:
                        reach[yy, xx] = max(reach[yy, xx], far)


def least_beside(values: FloatArray) -> FloatArray:
    """The smallest of each block's value and those of the eight blocks round it."""
    padded = np.pad(values, 1, mode="edge")
    rows = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    least: FloatArray = np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return least


def pooled(blocks: Blocks, factor: int, rows: int, columns: int, margin: int = 0) -> Blocks:
    """Blocks of full size to blocks `factor` times as large, (rows, columns): 1 where any of them is, or another one
    within `margin`."""
    high, wide = (-(-side // factor) * factor for side in blocks.shape)
    padded = np.zeros((high, wide), np.uint8)
    padded[: blocks.shape[0], : blocks.shape[1]] = blocks
    small = padded.reshape(high // factor, factor, wide // factor, factor).max((1, 3))[:rows, :columns]
    out = np.zeros((rows + 2 * margin, columns + 2 * margin), np.uint8)
    for dy in range(2 * margin + 1):
        for dx in range(2 * margin + 1):
            part = out[dy : dy + small.shape[0], dx : dx + small.shape[1]]
            np.maximum(part, small, out=part)
    return np.ascontiguousarray(out[margin : margin + rows, margin : margin + columns])
