"""Statistics of blocks, from which it is decided how each block is rendered.

One pass over the cells collects them; everything else works on blocks.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.layers.inpaint import Occluded
from deeplens_dof.lens_blur.layers.layers import NOTHING
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Marks, Mask, Plane

BLOCK = 16  # cells a side that are rendered in one way
TILE = 192  # cells a side; a constant of the method, so that the result depends on no setting of the machine
STILL_CELLS = 1.0  # a surface with a smaller CoC looks nearly the same from every lens point
FAR, IN_FOCUS, NEAR = 0, 1, 2  # sides of the focus


class BlockStats(NamedTuple):
    """Statistics of the blocks (rows, columns) of one pyramid level. CoC is in photo px, whatever the band."""

    low: Plane  # (rows, columns), smallest CoC of the visible surfaces
    smallest: Plane  # (rows, columns), smallest CoC radius of the visible surfaces
    largest: Plane  # (rows, columns), largest CoC radius, occluded surfaces included
    # Of the surfaces beside or behind a depth step, by range of the radius and side of the focus:
    radius: Array  # (ranges, 3, rows, columns), largest CoC radius; -1 where there is none
    nearest: Array  # (ranges, 3, rows, columns), CoC of the nearest one; NOTHING where there is none

    @classmethod
    def of(
        cls,
        steps: Marks,
        coc: Plane,
        occluded: Occluded,
        bounds: tuple[float, ...],
        factor: int,
        pool: Executor,
    ) -> BlockStats:
        """The statistics of a level, for whole tiles of blocks.

        Args:
            steps: (h, w) cells on a depth step.
            coc: (h, w) of the visible surface, photo px.
            occluded: the surfaces behind, in cells of any size from the level's own up.
            bounds: CoC radii, photo px, at which the ranges begin; the last range is open.
            factor: photo pixels along a cell's side.
            pool: runs the rows of blocks.
        """
        rows, columns = (-(-side // TILE) * TILE // BLOCK for side in coc.shape)
        planes = [np.empty((rows, columns), np.float32) for _ in range(3)]
        by_range = [np.empty((len(bounds), 3, rows, columns), np.float32) for _ in range(2)]
        stats = cls(*planes, *by_range)
        begins = np.array(bounds, np.float32)
        for done in [
            pool.submit(_collect, steps, coc, occluded, begins, factor, row, stats) for row in range(rows)
        ]:
            done.result()
        return stats

    def reach(self, factor: int) -> Plane:
        """The largest CoC radius, in cells, of the surfaces that may be seen in each block."""
        reached = np.empty_like(self.low)
        _reach_of_all(self.largest, float(factor), reached)
        return reached

    def near_steps(self, ranges: slice, factor: int, step_px: float, margin: float) -> Mask:
        """The blocks in which light of these ranges meets a depth step.

        A far surface is not seen in a block where everything lies in front of it, unless something in front moves away;
        that one then meets a step there itself.

        Args:
            ranges: ranges of `bounds`.
            factor: photo pixels along a cell's side.
            step_px: CoC by which surfaces differ, photo px.
            margin: possible error in the place of a border, cells.
        """
        everywhere = np.full_like(self.low, NOTHING)
        reached = np.zeros((2, *self.low.shape), np.uint8)
        for side in (FAR, IN_FOCUS, NEAR):
            for number, low, some in ((0, self.low, slice(None)), (1, everywhere, ranges)):
                radius, nearest = self.radius[some, side].max(0), self.nearest[some, side].max(0)
                _mark_reached(radius, nearest, low, float(factor), step_px, margin, reached[number])
        both: Mask = (reached[0] > 0) & (reached[1] > 0)
        return both


@compiled()
def _collect(
    steps: Marks,  # (h, w)
    coc: Plane,  # (h, w)
    occluded: Occluded,
    begins: Array,  # (ranges,)
    factor: int,
    row: int,
    stats: BlockStats,
) -> None:
    """Writes one row of blocks of `stats`."""
    low, smallest, largest = stats.low, stats.smallest, stats.largest
    radius, nearest = stats.radius, stats.nearest
    occluded_coc, second_coc, ratio = occluded.coc, occluded.second_coc, occluded.factor // factor
    height, width = coc.shape
    low[row], smallest[row], largest[row] = 1e9, 1e9, 0
    radius[:, :, row], nearest[:, :, row] = -1, NOTHING
    for y in range(row * BLOCK, min((row + 1) * BLOCK, height)):
        for bx in range((width + BLOCK - 1) // BLOCK):
            least, least_size, most_size = low[row, bx], smallest[row, bx], largest[row, bx]
            for x in range(bx * BLOCK, min((bx + 1) * BLOCK, width)):
                here = coc[y, x]
                least, least_size = min(least, here), min(least_size, abs(here))
                most_size = max(most_size, abs(here))
            low[row, bx], smallest[row, bx], largest[row, bx] = least, least_size, most_size
        for x in range(width):
            if steps[y, x]:
                _enter(
                    coc[y, x], begins, factor, radius[:, :, row, x // BLOCK], nearest[:, :, row, x // BLOCK]
                )
        if y % ratio == 0:
            for x in range(0, width, ratio):
                bx = x // BLOCK
                for behind in (occluded_coc[y // ratio, x // ratio], second_coc[y // ratio, x // ratio]):
                    if behind != NOTHING:
                        _enter(behind, begins, factor, radius[:, :, row, bx], nearest[:, :, row, bx])
                        largest[row, bx] = max(largest[row, bx], abs(behind))


@compiled()
def _enter(coc: np.float32, begins: Array, factor: int, radius: Array, nearest: Array) -> None:
    """Enters one surface into radius and nearest (ranges, 3) of its block."""
    size = abs(coc)
    number = 0
    while number + 1 < begins.shape[0] and size >= begins[number + 1]:
        number += 1
    if size < begins[number]:
        return
    side = IN_FOCUS if size <= STILL_CELLS * factor else (NEAR if coc > 0 else FAR)
    radius[number, side] = max(radius[number, side], size)
    nearest[number, side] = max(nearest[number, side], coc)


@compiled()
def _mark_reached(
    radius: Plane,  # (rows, columns), photo px, like the two below
    nearest: Plane,
    low: Plane,
    factor: float,
    step_px: float,
    margin: float,
    reached: Marks,  # (rows, columns), written
) -> None:
    """Marks the blocks within `radius` of each block, unless all of a block lies in front of `nearest`."""
    rows, columns = radius.shape
    for by in range(rows):
        for bx in range(columns):
            if radius[by, bx] < 0:
                continue
            far = radius[by, bx] / factor + margin
            n = int(math.ceil(far / BLOCK))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    in_reach = _gap_squared(yy - by, xx - bx) <= far * far
                    if in_reach and low[yy, xx] <= nearest[by, bx] + step_px:
                        reached[yy, xx] = 1


@compiled()
def _gap_squared(rows: int, columns: int) -> int:
    """Squared distance, in cells, between two blocks that many rows and columns apart."""
    down, across = max(abs(rows) - 1, 0) * BLOCK, max(abs(columns) - 1, 0) * BLOCK
    return down * down + across * across


@compiled()
def _reach_of_all(largest: Plane, factor: float, reach: Plane) -> None:
    """See `BlockStats.reach`."""
    rows, columns = largest.shape
    reach[:] = 0
    for by in range(rows):
        for bx in range(columns):
            far = largest[by, bx] / factor
            n = int(math.ceil(far / BLOCK))
            for yy in range(max(by - n, 0), min(by + n + 1, rows)):
                for xx in range(max(bx - n, 0), min(bx + n + 1, columns)):
                    if _gap_squared(yy - by, xx - bx) <= far * far:
                        reach[yy, xx] = max(reach[yy, xx], far)


def least_beside(values: Plane) -> Plane:
    """The smallest value of each block and the eight blocks around it."""
    padded = np.pad(values, 1, mode="edge")
    rows = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    least: Plane = np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return least


def pooled(blocks: Marks, factor: int, rows: int, columns: int, margin: int = 0) -> Marks:
    """Marks of full-size blocks reduced to blocks `factor` times as large.

    Args:
        blocks: marks at full size.
        factor: blocks along a side of the larger block.
        rows: of the result.
        columns: of the result.
        margin: larger blocks by which the marks are extended on all sides.
    """
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
