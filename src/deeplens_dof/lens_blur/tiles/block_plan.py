"""How each block of the photo is rendered at full size."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from deeplens_dof.lens_blur.tiles.block_stats import least_beside
from deeplens_dof.lens_blur.tiles.pyramid import PyramidLevel
from deeplens_dof.types import Marks

SINGLE_PASS_PX = 34.0  # the largest CoC radius of blocks that are rendered in a single pass
STILL_PX = 1.0  # a surface with a smaller CoC looks the same from every lens point


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """Marks of blocks, (rows, columns) uint8."""

    single_pass: Marks  # all bands in one pass of views
    needs_views: Marks  # only the sharp band, by views; the other blocks by plain sums
    near_edge: Marks  # views are needed at some resolution

    @classmethod
    def of(cls, photo: PyramidLevel, single_pass_px: float, pool: Executor) -> BlockPlan:
        """The plan of a photo.

        Blocks in which surfaces of several bands move in front of each other are rendered in a single pass, unless a CoC
        above `single_pass_px` reaches them.
        """
        near_edge = photo.needs_views(slice(None), pool)
        if len(photo.bounds) == 1:
            marks = near_edge.astype(np.uint8)
            return cls(np.zeros(near_edge.shape, np.uint8), marks, marks)
        stats = photo.stats
        moving = (least_beside(stats.smallest) < photo.bounds[2]) & (stats.largest >= STILL_PX)
        moving |= photo.near_steps(slice(1, 2))
        single_pass = near_edge & moving & (photo.reach <= single_pass_px)
        needs_views = photo.near_steps(slice(0, 2)) & ~single_pass
        return cls(single_pass.astype(np.uint8), needs_views.astype(np.uint8), near_edge.astype(np.uint8))
