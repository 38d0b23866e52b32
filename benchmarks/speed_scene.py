"""A large picture with several near objects, for measuring time and memory.

`room` (a man at a sofa; flowers and a lamp near the camera), with the nearest things of `night` (a bottle, a candle, fairy
lights) put before it three times, enlarged, focused on the man: many blurred things in front of a sharp one, a blurred room
behind. Borders of depth are crisp at any size. The texture of an enlarged picture is smooth; no method here looks at it.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from PIL import Image
from truths import SCENES

import deeplens_dof as dl

NEAR_THINGS = 0.95  # 1/m: what is nearer in `night`
SHIFTS = ((0.0, 0.0), (0.31, 0.12), (0.62, 0.04))  # of the width and height
STEP = 0.02  # 1/m between neighbours: a border


def large(megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Linear light (H, W, 3) and signed CoC (H, W), whose largest is 1; the picture is half as wide again as high."""
    import cv2

    rgb, depth, focus = _small()
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    size = round(1.5 * height), height
    wide = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
    coc = _enlarged_crisply(depth, size) - np.float32(focus)
    np.maximum(wide, 0, out=wide)
    coc *= np.float32(1 / np.abs(coc).max())
    return wide, coc


@cache
def _small() -> tuple[np.ndarray, np.ndarray, float]:
    """Linear light, inverse depth in 1/m and the inverse depth of the focus."""
    meta = json.loads((SCENES / "room" / "meta.json").read_text())
    focus = next(entry["disp_focus"] for entry in meta["images"] if entry["name"] == "L5_F2.png")
    (rgb, depth), (front, front_depth) = _scene("room"), _scene("night")
    near = front_depth > NEAR_THINGS
    height, width = near.shape
    for right, down in SHIFTS:
        y, x = np.nonzero(near)
        yy, xx = y + int(down * height), (x + int(right * width)) % width
        inside = yy < height
        y, x, yy, xx = y[inside], x[inside], yy[inside], xx[inside]
        seen = front_depth[y, x] > depth[yy, xx]
        rgb[yy[seen], xx[seen]] = front[y[seen], x[seen]]
        depth[yy[seen], xx[seen]] = front_depth[y[seen], x[seen]]
    return rgb, depth, focus


def _scene(name: str) -> tuple[np.ndarray, np.ndarray]:
    rgb = dl.srgb_to_linear(np.asarray(Image.open(SCENES / name / "aif.png").convert("RGB")))
    return rgb, np.load(SCENES / name / "disp.npz")["disp"].astype(np.float32)


def _enlarged_crisply(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Interpolated on surfaces; on borders each pixel takes the nearer of the two sides, by value."""
    import cv2

    square = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(depth, square), cv2.dilate(depth, square)
    border = cv2.dilate((high - low > STEP).astype(np.uint8), square)
    smooth, low, high = (
        cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in (depth, low, high)
    )
    at_border = cv2.resize(border, size, interpolation=cv2.INTER_NEAREST) > 0
    side = np.where(smooth - low < high - smooth, low, high)
    return np.where(at_border, side, smooth)
