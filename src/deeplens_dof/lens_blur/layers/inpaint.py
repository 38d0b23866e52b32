"""What near objects hide: the colour and depth of the farther surface, carried on behind them, or as it was given."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.layers import kernels
from deeplens_dof.lens_blur.layers.layers import STEP_PX, FloatArray, Layers

MARGIN_CELLS = 3.0
SMOOTHING_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Hidden:
    """colour (h, w, 3) and coc (h, w) of the surface behind the visible one, deep_colour and deep_coc of the one behind
    that; CoC is kernels.NOTHING where there is none."""

    factor: int
    colour: FloatArray
    coc: FloatArray
    deep_colour: FloatArray
    deep_coc: FloatArray

    def at_full_size(self, height: int, width: int) -> Hidden:
        """The same for every pixel of the photo."""
        parts = (self.colour, self.coc, self.deep_colour, self.deep_coc)
        large = (
            np.repeat(np.repeat(part, self.factor, 0), self.factor, 1)[:height, :width] for part in parts
        )
        return Hidden(1, *map(np.ascontiguousarray, large))

    def with_known(self, photo: Layers) -> Hidden:
        """The same with what `photo`, layers at full size, hold behind their fronts."""
        known = photo.back_coc != kernels.NOTHING
        count = _summed(known.astype(np.float32), self.factor)
        held = count > 0.25 * self.factor**2
        share = 1 / np.maximum(count, np.float32(1))
        coc = _summed(np.where(known, photo.back_coc, np.float32(0)), self.factor) * share
        colour = _summed(photo.back * known[..., None], self.factor) * share[..., None]
        return replace(
            self, coc=np.where(held, coc, self.coc), colour=np.where(held[..., None], colour, self.colour)
        )


def _summed(plane: FloatArray, factor: int) -> FloatArray:
    """Sums of factor x factor pixels; what lies beyond the border counts as 0."""
    rows, columns = (-side % factor for side in plane.shape[:2])
    padded = np.pad(plane, ((0, rows), (0, columns), *((0, 0),) * (plane.ndim - 2)))
    cells = padded.reshape(padded.shape[0] // factor, factor, -1, factor, *plane.shape[2:])
    return np.asarray(cells.sum((1, 3)))


def complete(layers: Layers, pool: Executor) -> Hidden:
    """The nearest farther surface reaches behind a nearer one as far as the lens can look behind it, and evens out."""
    has_back = (layers.back_coc != kernels.NOTHING) & (layers.alpha <= 0.85)
    source_coc = np.where(has_back, layers.back_coc, layers.front_coc)
    seen_coc = np.where((layers.alpha >= 0.5) | ~has_back, layers.front_coc, layers.back_coc)
    first, behind = (np.empty(source_coc.shape, np.int32) for _ in range(2))
    limits = np.float32(STEP_PX), np.float32(layers.factor), np.float32(MARGIN_CELLS)
    kernels.nearest_farther(seen_coc, source_coc, *limits, first)
    near = pool.submit(_carried, layers, has_back, source_coc, first)
    kernels.nearest_behind(seen_coc, source_coc, first, *limits, behind)
    deep = _carried(layers, has_back, source_coc, behind)
    return Hidden(layers.factor, *near.result(), *deep)


def _carried(
    layers: Layers, has_back: npt.NDArray[np.bool_], source_coc: FloatArray, source: npt.NDArray[np.int32]
) -> tuple[FloatArray, FloatArray]:
    """Colour and CoC of the cells that `source` (h, w) names, -1 for none, evened out."""
    colour, coc = np.zeros_like(layers.front), np.empty(source.shape, np.float32)
    kernels.carry(source, source_coc, has_back, layers.front, layers.back, colour, coc)
    kernels.smooth_hidden(source, colour, coc, np.float32(STEP_PX), SMOOTHING_ROUNDS)
    return colour, coc
