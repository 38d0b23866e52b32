"""The shape of an aperture as spans: for each of its rows the stretches through which light comes, and how much.

With running sums of the picture a span costs two look-ups, whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.aperture import Aperture

ROWS, COLUMNS = 256, 1024  # of the square [-1, 1]^2
LEVELS = 8  # of grey that are told apart


@dataclass(frozen=True, slots=True)
class ShapeSpans:
    """first (ROWS + 1,) int32: where the spans of a row begin; spans (n, 3) float32: from, to (CoC units), share of light.

    Without spans the shape is the disc, cut by the barrel where `vignetting` (see `Aperture.vignetting`) is above 0.
    """

    first: npt.NDArray[np.int32]
    spans: npt.NDArray[np.float32]
    vignetting: float


@lru_cache(maxsize=32)
def shape_spans(aperture: Aperture) -> ShapeSpans:
    """The spans of a shape; grey kernels in `LEVELS` steps, each step a shape of its own."""
    if aperture.is_disc or aperture.vignetting > 0:
        return ShapeSpans(np.zeros(1, np.int32), np.zeros((0, 3), np.float32), aperture.vignetting)
    x = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 - 1
    y = (np.arange(ROWS) + 0.5) / ROWS * 2 - 1
    density = aperture.density(x[None, :], y[:, None])
    levels = 1 if np.isin(density, (0.0, 1.0)).all() else LEVELS
    counts, found = np.zeros(ROWS + 1, np.int32), []
    for row in range(ROWS):
        for level in range(levels):
            lit = np.concatenate(([False], density[row] > (level + 0.5) / levels, [False]))
            ends = np.flatnonzero(lit[1:] != lit[:-1]).reshape(-1, 2)
            found += [(2 * a / COLUMNS - 1, 2 * b / COLUMNS - 1, 1 / levels) for a, b in ends]
            counts[row + 1] += len(ends)
    spans = np.array(found, np.float32).reshape(-1, 3)
    return ShapeSpans(np.cumsum(counts).astype(np.int32), spans, 0.0)
