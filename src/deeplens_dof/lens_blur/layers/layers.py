"""A photo as layers: at every pixel the surface in front, its share of the pixel, and what lies behind it.

At depth steps a pixel is a mixture of two surfaces. `alpha * front + (1 - alpha) * back` is the photo again, so nothing
is lost by taking it apart, and each side can then be moved on its own. Reduced sizes keep the two apart as well: a cell
that covers a step stores both sides, never their mean depth.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.layers import kernels

FloatArray = npt.NDArray[np.float32]

STEP_PX = 1.0  # neighbours whose CoC differs by more lie on two surfaces
ALPHA_PRIOR = (
    0.02  # squared linear-light contrast below which alpha follows the geometry rather than the colours
)


@dataclass(frozen=True, slots=True)
class Layers:
    """front, back (h, w, 3) linear light; front_coc, back_coc, alpha (h, w). CoC in pixels of the full-size photo.

    Where nothing lies behind, alpha is 1 and back_coc is kernels.NOTHING. factor: photo pixels to a cell's side.
    """

    factor: int
    front: FloatArray
    front_coc: FloatArray
    alpha: FloatArray
    back: FloatArray
    back_coc: FloatArray

    @classmethod
    def empty(cls, factor: int, height: int, width: int) -> Layers:
        plane, colour = (height, width), (height, width, 3)
        new = [np.empty(shape, np.float32) for shape in (colour, plane, plane, colour, plane)]
        return cls(factor, *new)

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        return self.front, self.front_coc, self.alpha, self.back, self.back_coc


def depth_steps(coc_px: FloatArray) -> npt.NDArray[np.uint8]:
    """1 on both sides of every depth step, (H, W)."""
    steps = np.empty(coc_px.shape, np.uint8)
    kernels.mark_steps(coc_px, np.float32(STEP_PX), steps)
    return steps


def half_size(rgb: FloatArray, coc_px: FloatArray, steps: npt.NDArray[np.uint8], pool: Executor) -> Layers:
    """The layers of a photo at half its size, odd sizes rounded up."""
    height, width = coc_px.shape
    layers = Layers.empty(2, -(-height // 2), -(-width // 2))

    def band(first: int, last: int) -> None:
        kernels.reduce_pixels(
            rgb, coc_px, steps, np.float32(STEP_PX), np.float32(ALPHA_PRIOR), first, last, *layers.arrays
        )

    _in_bands(band, layers.front_coc.shape[0], pool)
    return layers


def halve(layers: Layers, pool: Executor) -> Layers:
    """The same layers at half the size, odd sizes rounded up."""
    height, width = layers.front_coc.shape
    smaller = Layers.empty(2 * layers.factor, -(-height // 2), -(-width // 2))

    def band(first: int, last: int) -> None:
        kernels.reduce_layers(np.float32(STEP_PX), *layers.arrays, first, last, *smaller.arrays)

    _in_bands(band, smaller.front_coc.shape[0], pool)
    return smaller


def _in_bands(work, rows: int, pool: Executor, size: int = 64) -> None:  # type: ignore[no-untyped-def]
    for done in [pool.submit(work, first, min(first + size, rows)) for first in range(0, rows, size)]:
        done.result()
