"""A photo and its circles of confusion at half the size, as the guided upsampling expects them to have been rendered."""

from __future__ import annotations

from concurrent.futures import Executor

import numba as nb
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
_BAND_ROWS = 64
STEP_PX = 1.0  # a cell whose CoC differ by more lies on two surfaces


def halved(
    rgb: FloatArray, coc_px: FloatArray, pool: Executor | None = None
) -> tuple[FloatArray, FloatArray]:
    """rgb (H, W, 3) linear light and coc_px (H, W) at half the size, odd sizes rounded up; CoC in px of the smaller.

    A cell holds the mean light of its 2 x 2 pixels; its CoC is the mean of the surface that has most of them, of the
    nearer one when both have as many.
    """
    height, width = coc_px.shape
    light = np.empty((-(-height // 2), -(-width // 2), 3), np.float32)
    coc = np.empty(light.shape[:2], np.float32)

    def band(first: int) -> None:
        _halve(rgb, coc_px, np.float32(STEP_PX), first, min(first + _BAND_ROWS, light.shape[0]), light, coc)

    bands = range(0, light.shape[0], _BAND_ROWS)
    for _ in map(band, bands) if pool is None else pool.map(band, bands):
        pass
    return light, coc


@nb.njit(nogil=True, cache=True)
def _halve(rgb, coc, step_px, first, last, light, small_coc):
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
            if high - low <= step_px:
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
