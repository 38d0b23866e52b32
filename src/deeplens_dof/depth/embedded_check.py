"""Whether embedded depth is good enough to be preferred to a prediction."""

from __future__ import annotations

import numpy as np

from deeplens_dof.imaging.aspect import aspects_differ
from deeplens_dof.optics.inverse_depth import InverseDepth

# tools/figures/make_phone_sheet.py --limits measures where these lie.
LEAST_LONG_SIDE_PX = 160
LEAST_LEVELS = 16


def flaw(depth: InverseDepth, height: int, width: int) -> str | None:
    """Why depth is too coarse for a photo of that size, as the end of a sentence; None when it is good enough."""
    rows, columns = depth.shape
    if max(rows, columns) < min(LEAST_LONG_SIDE_PX, max(height, width)):
        return f"is only {columns} x {rows} px"
    if aspects_differ((height, width), depth.shape):
        return f"is {columns} x {rows} px, of another aspect than the photo"
    low, high = np.percentile(depth.values, (0.5, 99.5))
    if not high > low:
        return "is the same nearly everywhere"
    inside = depth.values[(depth.values >= low) & (depth.values <= high)]
    levels = len(np.unique(np.round((inside - low) / (high - low) * 255)))
    return None if levels >= LEAST_LEVELS else f"has only {levels} levels"
