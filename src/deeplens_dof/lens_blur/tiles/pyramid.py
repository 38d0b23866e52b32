"""The photo at every resolution, ready to be rendered."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from deeplens_dof.lens_blur.layers.inpaint import Occluded
from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.lens_blur.layers.unmix import depth_steps
from deeplens_dof.lens_blur.tiles.block_stats import BlockStats
from deeplens_dof.lens_blur.tiles.bright_spots import reached_by_bright_spots
from deeplens_dof.types import Image, Marks, Mask, Plane

BORDER_CELLS = 2.0  # possible error in the place of a border


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """One resolution of the photo: its layers, the surfaces they occlude, the statistics of its blocks."""

    factor: int  # photo pixels along a cell's side
    colour: Image  # (h, w, 3)
    coc_px: Plane  # (h, w), photo px
    steps: Marks  # (h, w), cells on a depth step
    occluded: Occluded
    layers: Layers | None  # None at full size, where pixels are unmixed while they are read
    bounds: tuple[float, ...]  # CoC radii, photo px, at which the ranges of `stats` begin
    stats: BlockStats
    reach: Plane  # (rows, columns) of blocks, see `BlockStats.reach`

    @classmethod
    def of_photo(
        cls,
        rgb: Image,
        coc_px: Plane,
        steps: Marks,
        occluded: Occluded,
        bounds: tuple[float, ...],
        pool: Executor,
    ) -> PyramidLevel:
        """Full size, from the photo itself."""
        stats = BlockStats.of(steps, coc_px, occluded, bounds, 1, pool)
        return cls(1, rgb, coc_px, steps, occluded, None, bounds, stats, stats.reach(1))

    @classmethod
    def of_layers(
        cls, layers: Layers, occluded: Occluded, bounds: tuple[float, ...], pool: Executor
    ) -> PyramidLevel:
        """Any size, from layers; `occluded` has cells of the same size."""
        steps = depth_steps(layers.front_coc)
        steps[layers.back_coc != NOTHING] = 1
        factor, colour, coc_px = layers.factor, layers.front, layers.front_coc
        stats = BlockStats.of(steps, coc_px, occluded, bounds, factor, pool)
        return cls(factor, colour, coc_px, steps, occluded, layers, bounds, stats, stats.reach(factor))

    def needs_views(self, ranges: slice, pool: Executor) -> Mask:
        """The blocks that the mean over lens points must render, (rows, columns).

        Light of these ranges of `bounds` meets a depth step there, or light of a bright spot another CoC.
        """
        shape = self.stats.low.shape
        spots = reached_by_bright_spots(self.colour, self.coc_px, self.factor, shape, pool)
        return self.near_steps(ranges) | spots

    def near_steps(self, ranges: slice) -> Mask:
        """The blocks in which light of these ranges of `bounds` meets a depth step, (rows, columns)."""
        return self.stats.near_steps(ranges, self.factor, float(STEP_PX), BORDER_CELLS)
