"""Light above white, as a network has learnt it: lamps become bright, walls and skies stay.

The network `light` (`learn/networks/highlights.py`) says for every pixel by how much the light of each channel exceeds white
where it was clipped. It learnt from pictures of which the light is known. `highlights.recover_highlights` does the same by
rule, without a network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from deeplens_dof.highlights.clipping import KNEE, clippedness_of
from deeplens_dof.imaging.color import linear_to_srgb
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.runtime.threads import for_bands

FloatImage = npt.NDArray[np.float32]


def learned_light(
    rgb: FloatImage, amount: float = 1.0, white: float = 1.0, threads: int | None = None
) -> FloatImage:
    """The picture with more light where it is clipped: (H, W, 3) float32 linear, not changed where it is below `white`.

    amount: 0 nothing .. 1 all that the network says; it scales the logarithm of the light. The input itself comes back
    where there is nothing to do. Larger pictures than the network was trained for are shown to it at a smaller size.
    Raises ValueError for another amount.
    """
    if not (0 <= amount <= 1):
        raise ValueError(f"highlights is {amount!r}, expected a number from 0 to 1")
    if amount == 0 or not rgb.max(initial=0) > KNEE * np.float32(white):
        return rgb
    gain = log_gains(rgb, white, threads)
    out = rgb.copy()

    def work(first: int, last: int) -> None:
        _raise(out, first, last, np.float32(white), np.float32(amount), gain)

    for_bands(work, rgb.shape[0], threads)
    return out


def log_gains(rgb: FloatImage, white: float = 1.0, threads: int | None = None) -> npt.NDArray[np.float32]:
    """What the network says, (3, h, w): log of how much the light exceeds white where it is clipped, 0 and more. h and w
    are those of the picture, or a whole number of times smaller where it is large."""
    model = MODELS["light"]
    shrink = max(1, math.ceil(max(rgb.shape[:2]) / model.long_side_px))
    height, width = (math.ceil(side / shrink) for side in rgb.shape[:2])
    means = np.empty((6, height, width), np.float32)

    def work(first: int, last: int) -> None:
        _reduce(rgb, first, last, np.float32(white), shrink, means)

    for_bands(work, height, threads)
    rows, columns = (-side % model.multiple_px for side in (height, width))
    planes = np.pad(means, ((0, 0), (0, rows), (0, columns)), mode="edge")[None]
    given: dict[str, Any] = {
        "srgb": linear_to_srgb(planes[:, :3], np.float32),
        "clipped": np.ascontiguousarray(planes[:, 3:]),
    }
    (gain,) = open_session("light", threads).run([model.output_name], given)
    return np.ascontiguousarray(gain[0, :, :height, :width])


@njit(nogil=True, cache=True)
def _reduce(
    rgb: FloatImage, first: int, last: int, white: np.float32, shrink: int, means: npt.NDArray[np.float32]
) -> None:
    """Rows first..last of means (6, h, w): of shrink x shrink pixels, the light by white, 0..1, and how surely it was
    clipped."""
    for y in range(first, last):
        bottom = min((y + 1) * shrink, rgb.shape[0])
        for x in range(means.shape[2]):
            right = min((x + 1) * shrink, rgb.shape[1])
            share = np.float32(1 / ((bottom - y * shrink) * (right - x * shrink)))
            for k in range(3):
                light, clipped = np.float32(0), np.float32(0)
                for v in range(y * shrink, bottom):
                    for u in range(x * shrink, right):
                        light += min(max(rgb[v, u, k] / white, np.float32(0)), np.float32(1))
                        clipped += clippedness_of(rgb[v, u, k], white)
                means[k, y, x] = light * share
                means[3 + k, y, x] = clipped * share


@njit(nogil=True, cache=True)
def _raise(
    rgb: FloatImage,
    first: int,
    last: int,
    white: np.float32,
    amount: np.float32,
    gain: npt.NDArray[np.float32],
) -> None:
    """Gives the clipped channels of rows first..last their light, in place; gains are interpolated."""
    _, rows, columns = gain.shape
    shrink = math.ceil(max(rgb.shape[0] / rows, rgb.shape[1] / columns))
    for y in range(first, last):
        v = min(max((y + 0.5) / shrink - 0.5, 0.0), rows - 1.0)
        y0 = int(v)
        y1, dv = min(y0 + 1, rows - 1), v - y0
        for x in range(rgb.shape[1]):
            u = min(max((x + 0.5) / shrink - 0.5, 0.0), columns - 1.0)
            x0 = int(u)
            x1, du = min(x0 + 1, columns - 1), u - x0
            for k in range(3):
                clipped = clippedness_of(rgb[y, x, k], white)
                if clipped > 0:
                    log_light = (1 - dv) * ((1 - du) * gain[k, y0, x0] + du * gain[k, y0, x1]) + dv * (
                        (1 - du) * gain[k, y1, x0] + du * gain[k, y1, x1]
                    )
                    rgb[y, x, k] += np.float32(clipped * white * (math.exp(amount * log_light) - 1))
