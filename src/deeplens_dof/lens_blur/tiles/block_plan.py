"""Which blocks are rendered how, and at which resolution."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from deeplens_dof.lens_blur.tiles import block_stats
from deeplens_dof.lens_blur.tiles.block_stats import Blocks
from deeplens_dof.lens_blur.tiles.pyramid import Level, Shell

SHARPEST_SHELL_PX = 8.0  # what is blurred less is rendered at full size
LARGEST_CELLS = 32.0  # CoC radius in cells that a shell may hold
SHELL_RATIO = 4
WHOLE_PX = 34.0  # where no CoC is larger, blocks are rendered at full size with everything in them
STILL_PX = 1.0  # a surface with a smaller CoC looks the same from every lens point


def shells_for(largest_px: float, is_disc: bool = True) -> list[Shell]:
    """How radii up to `largest_px` are shared among resolutions, the sharpest first.

    A shell begins at no less than 2 cells of CoC, where its cells are fine enough to be invisible; at twice that for
    shapes with corners and holes.
    """
    inner = SHARPEST_SHELL_PX if is_disc else 2 * SHARPEST_SHELL_PX
    if largest_px <= inner:
        return [Shell(1, 0.0, math.inf)]
    factor = 2 if largest_px <= 2 * LARGEST_CELLS else SHELL_RATIO
    shells = [Shell(1, 0.0, inner)]
    while largest_px / factor > LARGEST_CELLS:
        shells.append(Shell(factor, inner, inner * SHELL_RATIO))
        factor, inner = factor * SHELL_RATIO, inner * SHELL_RATIO
    return [*shells, Shell(factor, inner, math.inf)]


@dataclass(frozen=True, slots=True)
class Ways:
    """How each block of the photo is rendered at full size: whole, with all surfaces in one view, or only its sharp
    shell, by views where busy and by spans elsewhere. met: where views are needed at all."""

    whole: Blocks
    busy: Blocks
    met: Blocks

    @classmethod
    def of(cls, photo: Level, whole_px: float, pool: Executor) -> Ways:
        """Blocks where surfaces of several shells move before each other are whole, unless a CoC above whole_px comes by."""
        met = photo.busy(slice(None), pool)
        if len(photo.bounds) == 1:
            return cls(np.zeros(met.shape, np.uint8), met.astype(np.uint8), met.astype(np.uint8))
        survey = photo.survey
        moving = (block_stats.least_beside(survey.smallest) < photo.bounds[2]) & (survey.largest >= STILL_PX)
        moving |= photo.met_by_steps(slice(1, 2))
        whole = met & moving & (photo.reach <= whole_px)
        busy = photo.met_by_steps(slice(0, 2)) & ~whole
        return cls(whole.astype(np.uint8), busy.astype(np.uint8), met.astype(np.uint8))
