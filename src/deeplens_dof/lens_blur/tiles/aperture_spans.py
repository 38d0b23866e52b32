"""The shape of an aperture as spans: for each of its rows the stretches through which light passes, and how much.

With running sums of the picture a span costs two look-ups, whatever its length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.types import Array, Index

ROWS, COLUMNS = 256, 1024  # of the square [-1, 1]^2
LEVELS = 8  # of grey that are distinguished


class ApertureSpans(NamedTuple):
    """Rows of a shape. A disc has no spans."""

    first: Index  # (ROWS + 1,), the first span of each row
    spans: Array  # (n, 3): from, to (CoC units), share of light


class Rim(NamedTuple):
    """The rim of the barrel that cuts the disc off the picture's centre, in CoC units; see `Aperture.vignetting`."""

    x: float  # offset at the first cell
    y: float
    growth: float  # of the offset, from cell to cell; 0 without a barrel


@lru_cache(maxsize=32)
def spans_of(aperture: Aperture) -> ApertureSpans:
    """The spans of a shape; a grey kernel in LEVELS steps, each step a shape of its own."""
    if aperture.is_disc or aperture.vignetting > 0:
        return ApertureSpans(np.zeros(1, np.int32), np.zeros((0, 3), np.float32))
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
    return ApertureSpans(np.cumsum(counts).astype(np.int32), spans)
