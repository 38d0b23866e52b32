"""A photo and its circles of confusion at half the size, as the guided upsampling expects them to have been rendered."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from deeplens_dof.lens_blur.layers.layers import STEP_PX
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Image, Plane

_BAND_ROWS = 64


def halved(rgb: Image, coc_px: Plane, pool: Executor | None = None) -> tuple[Image, Plane]:
    """Linear light (H, W, 3) and CoC (H, W) at half the size, odd sizes rounded up; CoC in px of the smaller picture.

    A cell holds the mean light of its 2 x 2 pixels. Its CoC is the mean of the surface with most of these pixels, of the
    nearer one when both have as many.
    """
    height, width = coc_px.shape
    light = np.empty((-(-height // 2), -(-width // 2), 3), np.float32)
    coc = np.empty(light.shape[:2], np.float32)

    def band(first: int) -> None:
        _halve(rgb, coc_px, first, min(first + _BAND_ROWS, light.shape[0]), light, coc)

    bands = range(0, light.shape[0], _BAND_ROWS)
    for _ in map(band, bands) if pool is None else pool.map(band, bands):
        pass
    return light, coc


@compiled()
def _halve(rgb: Image, coc: Plane, first: int, last: int, light: Image, small_coc: Plane) -> None:
    """Writes rows first..last of light and small_coc, half the size."""
    height, width = coc.shape
    quarter, half = np.float32(0.25), np.float32(0.5)
    for y in range(first, last):
        y0, y1 = 2 * y, min(2 * y + 1, height - 1)
        for x in range(light.shape[1]):
            x0, x1 = 2 * x, min(2 * x + 1, width - 1)
            for c in range(3):
                light[y, x, c] = quarter * (
                    (rgb[y0, x0, c] + rgb[y0, x1, c]) + (rgb[y1, x0, c] + rgb[y1, x1, c])
                )
            p, q, r, s = coc[y0, x0], coc[y0, x1], coc[y1, x0], coc[y1, x1]
            low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
            if high - low <= STEP_PX:
                small_coc[y, x] = half * quarter * ((p + q) + (r + s))
                continue
            middle = half * (low + high)
            near_sum, near, far_sum = np.float32(0), 0, np.float32(0)
            for value in (p, q, r, s):
                if value >= middle:
                    near_sum += value
                    near += 1
                else:
                    far_sum += value
            mean = near_sum / np.float32(near) if near >= 2 else far_sum / np.float32(4 - near)
            small_coc[y, x] = half * mean
