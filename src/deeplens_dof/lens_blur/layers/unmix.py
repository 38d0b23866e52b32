"""Depth steps, and the two surfaces of a pixel that lies on one."""

from __future__ import annotations

import numpy as np

from deeplens_dof.lens_blur.layers.layers import ALPHA_PRIOR, NOTHING, STEP_PX
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Marks, Plane

_Colour = tuple[float, float, float]
_NEARNESS = np.exp(-np.arange(9.0))  # weight of a pixel by its squared distance


def depth_steps(coc_px: Plane) -> Marks:
    """1 on both sides of every depth step, else 0; uint8 (H, W)."""
    steps = np.empty(coc_px.shape, np.uint8)
    _mark_steps(coc_px, steps)
    return steps


@compiled(fastmath=True)
def _mark_steps(coc: Plane, steps: Marks) -> None:
    """steps (H, W): 1 on both pixels of a neighbouring pair whose CoC differs by more than STEP_PX."""
    height, width = coc.shape
    steps[:] = 0
    for y in range(height):
        for x in range(width - 1):
            if abs(coc[y, x] - coc[y, x + 1]) > STEP_PX:
                steps[y, x] = 1
                steps[y, x + 1] = 1
    for y in range(height - 1):
        for x in range(width):
            if abs(coc[y, x] - coc[y + 1, x]) > STEP_PX:
                steps[y, x] = 1
                steps[y + 1, x] = 1


@compiled(fastmath=True)
def _range_around(coc: Plane, y: int, x: int) -> tuple[np.float32, np.float32]:
    """The smallest and the largest CoC within 5x5 pixels."""
    height, width = coc.shape
    low, high = np.float32(1e9), np.float32(-1e9)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            value = coc[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)]
            low, high = min(low, value), max(high, value)
    return low, high


@compiled(fastmath=True)
def _share_out(pixel: _Colour, near: _Colour, far: _Colour, alpha: float, front: Array, back: Array) -> None:
    """Writes front and back (3,): the colours near and far, the dominant one corrected so that both mix to the pixel."""
    r, g, b = pixel
    f0, f1, f2 = near
    b0, b1, b2 = far
    rest = 1 - alpha
    if alpha >= 0.5:
        f0, f1, f2 = (r - rest * b0) / alpha, (g - rest * b1) / alpha, (b - rest * b2) / alpha
    else:
        b0, b1, b2 = (r - alpha * f0) / rest, (g - alpha * f1) / rest, (b - alpha * f2) / rest
    front[0], front[1], front[2] = max(f0, 0.0), max(f1, 0.0), max(f2, 0.0)
    back[0], back[1], back[2] = max(b0, 0.0), max(b1, 0.0), max(b2, 0.0)


@compiled(fastmath=True)
def unmix_pixel(
    rgb: Image,  # (H, W, 3)
    coc: Plane,  # (H, W)
    steps: Marks,  # (H, W)
    y: int,
    x: int,
    front: Array,  # (3,), written
    back: Array,  # (3,), written
) -> tuple[np.float32, np.float32, np.float32]:
    """Unmixes one pixel on a depth step into the surface in front and the one behind.

    The colours come from the pure pixels nearby on either side. Alpha is the pixel's place between the two colours; where
    their contrast is below ALPHA_PRIOR it tends to the coverage of the 3x3 neighbourhood. The side that dominates keeps
    the rest of the mixture, so that alpha * front + (1 - alpha) * back is the pixel again.

    Returns:
        Alpha of the front, CoC of the front and CoC of the back; the latter is NOTHING when the pixel lies on no step.
    """
    height, width = coc.shape
    low, high = _range_around(coc, y, x)
    here = coc[y, x]
    if high - low <= STEP_PX:
        return np.float32(1.0), here, NOTHING
    middle = 0.5 * (low + high)
    weight_f, weight_b, depth_f, depth_b = 0.0, 0.0, 0.0, 0.0
    depth_weight_f, depth_weight_b, cover = 0.0, 0.0, 0.0
    f0, f1, f2, b0, b1, b2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for dy in range(-2, 3):
        yy = y + dy
        if yy < 0 or yy >= height:
            continue
        for dx in range(-2, 3):
            xx = x + dx
            if xx < 0 or xx >= width:
                continue
            near = _NEARNESS[dx * dx + dy * dy]
            pure = near * (0.03 if steps[yy, xx] else 1.0)
            cubed = near * near * near
            value = coc[yy, xx]
            if value > middle:
                f0 += pure * rgb[yy, xx, 0]
                f1 += pure * rgb[yy, xx, 1]
                f2 += pure * rgb[yy, xx, 2]
                weight_f += pure
                depth_f += cubed * value
                depth_weight_f += cubed
                if abs(dx) <= 1 and abs(dy) <= 1:
                    cover += (2 - abs(dx)) * (2 - abs(dy)) / 16.0
            else:
                b0 += pure * rgb[yy, xx, 0]
                b1 += pure * rgb[yy, xx, 1]
                b2 += pure * rgb[yy, xx, 2]
                weight_b += pure
                depth_b += cubed * value
                depth_weight_b += cubed
    if weight_f <= 0 or weight_b <= 0:
        return np.float32(1.0), here, NOTHING
    f0, f1, f2 = f0 / weight_f, f1 / weight_f, f2 / weight_f
    b0, b1, b2 = b0 / weight_b, b1 / weight_b, b2 / weight_b
    r, g, b = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
    d0, d1, d2 = f0 - b0, f1 - b1, f2 - b2
    contrast = d0 * d0 + d1 * d1 + d2 * d2
    doubt = ALPHA_PRIOR * 0.5 * (f0 * f0 + f1 * f1 + f2 * f2 + b0 * b0 + b1 * b1 + b2 * b2) + 1e-12
    trust = contrast * contrast / (contrast * contrast + doubt * doubt)
    along = ((r - b0) * d0 + (g - b1) * d1 + (b - b2) * d2) / max(contrast, 1e-12)
    alpha = trust * min(max(along, 0.0), 1.0) + (1 - trust) * cover
    if here > middle:
        alpha = min(max(alpha, 0.5), 1.0)
        depth_f, depth_b = here, depth_b / depth_weight_b
    else:
        alpha = min(max(alpha, 0.0), 0.5)
        depth_f, depth_b = depth_f / depth_weight_f, here
    _share_out((r, g, b), (f0, f1, f2), (b0, b1, b2), alpha, front, back)
    return np.float32(alpha), np.float32(depth_f), np.float32(depth_b)
