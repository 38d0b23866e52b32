"""The picture at every resolution, and the range of blur that each of them renders."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.layers import kernels
from deeplens_dof.lens_blur.layers.inpaint import Hidden
from deeplens_dof.lens_blur.layers.layers import STEP_PX, FloatArray, Layers, depth_steps
from deeplens_dof.lens_blur.tiles.block_stats import Survey
from deeplens_dof.lens_blur.tiles.bright_spots import met_by_lamps

TILE = 192  # cells a side; a constant of the method, so that the result depends on no setting of the machine
BORDER_CELLS = 2.0  # by which the border of a surface may be off
# 4 x variance (cells^2) that reduced cells and their interpolation add to a blur
_SPREAD = 4 * (1 / 12 + 1 / 4)


@dataclass(frozen=True, slots=True)
class Shell:
    """CoC radii inner..outer (photo px), rendered at 1/factor of the size."""

    factor: int
    inner: float
    outer: float

    def constants(self) -> tuple[float, ...]:
        shrink = _SPREAD if self.factor > 1 else 0.0
        return (float(self.factor), self.inner, min(self.outer, 1e8), shrink)


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the photo, ready to be rendered: its layers, what they hide, what its blocks hold.

    layers is None at full size, where pixels are taken apart as they are met. bounds: |CoC| in photo pixels at which the
    ranges of the survey begin. reach: of `Survey.reach`.
    """

    factor: int
    colour: FloatArray
    coc_px: FloatArray
    steps: npt.NDArray[np.uint8]
    hidden: Hidden
    layers: Layers | None
    bounds: tuple[float, ...]
    survey: Survey
    reach: FloatArray

    @classmethod
    def of_photo(
        cls,
        rgb: FloatArray,
        coc_px: FloatArray,
        steps: npt.NDArray[np.uint8],
        hidden: Hidden,
        bounds: tuple[float, ...],
        pool: Executor,
    ) -> Level:
        survey = Survey.of(steps, coc_px, hidden.coc, hidden.deep_coc, hidden.factor, bounds, 1, TILE, pool)
        return cls(1, rgb, coc_px, steps, hidden, None, bounds, survey, survey.reach(1))

    @classmethod
    def of_layers(cls, layers: Layers, hidden: Hidden, bounds: tuple[float, ...], pool: Executor) -> Level:
        steps = depth_steps(layers.front_coc)
        steps[layers.back_coc != kernels.NOTHING] = 1
        survey = Survey.of(
            steps, layers.front_coc, hidden.coc, hidden.deep_coc, 1, bounds, layers.factor, TILE, pool
        )
        reach = survey.reach(layers.factor)
        return cls(
            layers.factor, layers.front, layers.front_coc, steps, hidden, layers, bounds, survey, reach
        )

    def busy(self, ranges: slice, pool: Executor) -> npt.NDArray[np.bool_]:
        """The blocks that views render: where light of these ranges of `bounds` meets a depth step, or a bright spot's
        another CoC."""
        lamps = met_by_lamps(self.colour, self.coc_px, self.factor, self.survey.low.shape, pool)
        return self.met_by_steps(ranges) | lamps

    def met_by_steps(self, ranges: slice) -> npt.NDArray[np.bool_]:
        """The blocks in which light of these ranges of `bounds` meets a depth step."""
        return self.survey.met_by_steps(ranges, self.factor, STEP_PX, BORDER_CELLS)
