"""Maps for guided upsampling: which tiles are enlarged, copied, or get detail. Compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.layers.layers import STEP_PX
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Marks, Plane

UNTOUCHED_PX = 0.2  # CoC below which a pixel that no other light reaches is the photo's own
SAME_LIGHT = np.float32(1e-5)  # difference of light that counts as none
SAME_LIGHT_SHARE = np.float32(1e-3)  # the same, as a share of the light
MARGIN_PX = np.float32(8)  # beside a step, in which it is seen
NO_DETAIL_PX = np.float32(8)  # smallest CoC nearby from which it is not asked
GUIDED_BLOCK = 16  # px
GUIDED_TILE = 64  # px, whole blocks
ENLARGED, COPIED, DETAILED, MIXED = 0, 1, 2, 3  # kinds of tiles


class GuidedPicture(NamedTuple):
    """The photo, its blur at half the size, and maps of both."""

    rgb: Image  # (H, W, 3) linear light
    coc_px: Plane  # (H, W)
    half: Image  # (h, w, 3), the photo at half the size
    blurred: Image  # (h, w, 3), its blur
    smallest: Plane  # (rows, columns) of blocks: smallest CoC radius
    largest: Plane  # (rows, columns): largest CoC radius
    reached: Plane  # (rows, columns): 1 where light passes a depth step nearby, else 0
    changed: Marks  # (h, w): cells whose blur differs from the photo


@compiled(fastmath=True)
def survey(coc: Plane, first: int, last: int, smallest: Plane, largest: Plane, left: Plane) -> None:
    """Rows first..last of blocks: the smallest and largest CoC radius, and in `left` how many blocks far steps reach."""
    height, width = coc.shape
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    radius = np.empty(left.shape[1], np.float32)
    for by in range(first, last):
        low[:], high[:], radius[:] = 1e9, 0, -MARGIN_PX
        for y in range(by * GUIDED_BLOCK, min((by + 1) * GUIDED_BLOCK, height)):
            here, above, below = coc[y], coc[max(y - 1, 0)], coc[min(y + 1, height - 1)]
            for x in range(width):
                low[x] = min(low[x], abs(here[x]))
                high[x] = max(high[x], abs(here[x]))
            widest = np.float32(0)
            for x in range(width):
                widest = max(widest, abs(here[x] - above[x]))
            if (y + 1) % GUIDED_BLOCK == 0:  # else the row below compares the two, in the same blocks
                for x in range(width):
                    widest = max(widest, abs(here[x] - below[x]))
            before, after = here[:-1], here[1:]
            for x in range(width - 1):
                widest = max(widest, abs(before[x] - after[x]))
            if widest > STEP_PX:
                _enter_steps(above, here, below, radius)
        for bx in range(left.shape[1]):
            least, most = low[bx * GUIDED_BLOCK], high[bx * GUIDED_BLOCK]
            for x in range(bx * GUIDED_BLOCK, min((bx + 1) * GUIDED_BLOCK, width)):
                least, most = min(least, low[x]), max(most, high[x])
            smallest[by, bx], largest[by, bx] = least, most
            left[by, bx] = np.ceil((radius[bx] + MARGIN_PX) / GUIDED_BLOCK)


@compiled()
def _enter_steps(above: Array, here: Array, below: Array, radius: Array) -> None:
    """Enters the steps of one row (w,) into the radii of its blocks."""
    width = here.shape[0]
    for x in range(width):
        neighbours = (above[x], below[x], here[max(x - 1, 0)], here[min(x + 1, width - 1)])
        for other in neighbours:
            if abs(other - here[x]) > STEP_PX:
                nearer = max(here[x], max(other, np.float32(0)))
                radius[x // GUIDED_BLOCK] = max(radius[x // GUIDED_BLOCK], nearer)


@compiled()
def spread(left: Plane) -> None:
    """Turns `left` into 1 where a block is within reach of a step, else 0: each block hands on one less than it has."""
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


@compiled()
def mark_changed(half: Image, blurred: Image, first: int, last: int, changed: Marks) -> None:
    """Rows first..last of changed (h, w): 1 where the blur differs from the photo at half the size."""
    for y in range(first, last):
        for x in range(half.shape[1]):
            differs = False
            for c in range(3):
                same = SAME_LIGHT + SAME_LIGHT_SHARE * half[y, x, c]
                differs |= abs(blurred[y, x, c] - half[y, x, c]) > same
            changed[y, x] = 1 if differs else 0


@compiled()
def classify(picture: GuidedPicture, detailed_px: float, kinds: Marks) -> None:
    """kinds (rows, columns) of tiles: ENLARGED, COPIED, DETAILED or MIXED.

    detailed_px: CoC from which no detail is left.
    """
    smallest, largest = picture.smallest, picture.largest
    reached, changed = picture.reached, picture.changed
    blocks, cells = GUIDED_TILE // GUIDED_BLOCK, GUIDED_TILE // 2
    for ty in range(kinds.shape[0]):
        for tx in range(kinds.shape[1]):
            least, most, around, met = np.float32(1e9), np.float32(0), np.float32(1e9), np.float32(0)
            for y in range(max(ty * blocks - 1, 0), min((ty + 1) * blocks + 1, smallest.shape[0])):
                for x in range(max(tx * blocks - 1, 0), min((tx + 1) * blocks + 1, smallest.shape[1])):
                    around, met = min(around, smallest[y, x]), max(met, reached[y, x])
                    if y // blocks == ty and x // blocks == tx:
                        least, most = min(least, smallest[y, x]), max(most, largest[y, x])
            kinds[ty, tx] = DETAILED
            if met > 0 and around < NO_DETAIL_PX:
                kinds[ty, tx] = MIXED
            elif least >= detailed_px:
                kinds[ty, tx] = ENLARGED
            if most < UNTOUCHED_PX:
                same = True
                for y in range(max(ty * cells - 1, 0), min((ty + 1) * cells + 1, changed.shape[0])):
                    for x in range(max(tx * cells - 1, 0), min((tx + 1) * cells + 1, changed.shape[1])):
                        same &= changed[y, x] == 0
                if same:
                    kinds[ty, tx] = COPIED
