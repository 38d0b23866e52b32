"""Where a lens blur is hard, found in the picture and its circles of confusion: rims, highlights, blurred foreground.

Each gives the interest of every pixel, (H, W); `window` looks at the most interesting one.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

import deeplens_dof as dl

Window = tuple[slice, slice]
MOST_STEP_PX = 8.0  # a larger change of CoC is no more interesting


def edges(coc_px: np.ndarray) -> np.ndarray:
    """How much blur ends at a depth step, near each pixel."""
    return gaussian_filter(_steps(coc_px), 12)


def rims(coc_px: np.ndarray, sharp_px: float = 1.0) -> np.ndarray:
    """The same, of steps whose nearer side is in focus: the outline of what is sharp before what is not."""
    nearer = maximum_filter(coc_px, 3)
    return gaussian_filter(np.where(np.abs(nearer) <= sharp_px, _steps(coc_px), 0), 12)


def foreground(coc_px: np.ndarray, blurred_px: float = 2.0) -> np.ndarray:
    """The same, of steps whose nearer side lies before the focus and is blurred."""
    return gaussian_filter(np.where(maximum_filter(coc_px, 3) > blurred_px, _steps(coc_px), 0), 12)


def highlights(srgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    """How much brighter than its surroundings a pixel is, where it is blurred."""
    light = dl.srgb_to_linear(srgb).mean(2)
    return (gaussian_filter(light, 1) - gaussian_filter(light, 12)) * np.minimum(np.abs(coc_px), 8)


def disagreement(pictures: list[np.ndarray]) -> np.ndarray:
    """How far apart the pictures are, whichever of them is right."""
    spread = np.std(np.stack(pictures).astype(np.float32), axis=0).mean(2)
    return gaussian_filter(spread, 8)


def window(interest: np.ndarray, width: int, height: int) -> Window:
    """A window of that size, or the picture's, about the most interesting pixel, within the picture."""
    row, column = np.unravel_index(int(np.argmax(interest)), interest.shape)
    width, height = min(width, interest.shape[1]), min(height, interest.shape[0])
    top = int(np.clip(row - height // 2, 0, interest.shape[0] - height))
    left = int(np.clip(column - width // 2, 0, interest.shape[1] - width))
    return slice(top, top + height), slice(left, left + width)


def _steps(coc_px: np.ndarray) -> np.ndarray:
    return np.minimum(maximum_filter(coc_px, 3) - minimum_filter(coc_px, 3), MOST_STEP_PX)
