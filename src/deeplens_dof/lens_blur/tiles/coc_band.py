"""Bands of CoC radii: how the blur of a photo is shared among resolutions."""

from __future__ import annotations

import math
from typing import NamedTuple

SHARPEST_BAND_PX = 8.0  # smaller radii are rendered at full size
LARGEST_CELLS = 32.0  # the largest radius of a band, in its cells
BAND_RATIO = 4
# 4 x the variance (cells^2) that reduced cells and their interpolation add to a blur.
_SPREAD = 4 * (1 / 12 + 1 / 4)


class BandLimits(NamedTuple):
    """A `CocBand` as kernels take it: all finite floats."""

    factor: float
    inner: float  # photo px
    outer: float  # photo px
    shrink: float  # blur that the cells add by themselves: 4 x variance, cells^2


class CocBand(NamedTuple):
    """CoC radii inner..outer in photo px, rendered at 1/factor of the photo's size."""

    factor: int
    inner: float
    outer: float

    @property
    def limits(self) -> BandLimits:
        """The band for kernels."""
        shrink = _SPREAD if self.factor > 1 else 0.0
        return BandLimits(float(self.factor), self.inner, min(self.outer, 1e8), shrink)


def bands_for(largest_px: float, is_disc: bool = True) -> list[CocBand]:
    """The bands of a photo whose largest CoC radius is `largest_px`, the sharpest first.

    A reduced band begins at a radius of 2 cells or more, where its cells are too fine to be seen; at twice that for shapes
    with corners and holes.
    """
    inner = SHARPEST_BAND_PX if is_disc else 2 * SHARPEST_BAND_PX
    if largest_px <= inner:
        return [CocBand(1, 0.0, math.inf)]
    factor = 2 if largest_px <= 2 * LARGEST_CELLS else BAND_RATIO
    bands = [CocBand(1, 0.0, inner)]
    while largest_px / factor > LARGEST_CELLS:
        bands.append(CocBand(factor, inner, inner * BAND_RATIO))
        factor, inner = factor * BAND_RATIO, inner * BAND_RATIO
    return [*bands, CocBand(factor, inner, math.inf)]
