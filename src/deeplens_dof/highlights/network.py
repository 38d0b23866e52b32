"""Highlight reconstruction by a network: lamps become bright, walls and skies stay.

The network `light` (`learn/networks/highlights.py`) estimates for every pixel by how much the light of each channel exceeded
white where it was clipped. It was trained on pictures whose light is known. `highlights.recover_highlights` does the same
by rule, without a network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deeplens_dof.highlights.clipping import KNEE, clipping_confidence_of
from deeplens_dof.imaging.color import linear_to_srgb
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.runtime.threads import for_bands
from deeplens_dof.types import Image, Planes


def reconstruct_highlights(
    rgb: Image, amount: float = 1.0, white: float = 1.0, threads: int | None = None
) -> Image:
    """The picture with more light where it is clipped. The input itself is returned when nothing is to be done.

    Pictures larger than those the network was trained on are shown to it at a smaller size.

    Args:
        rgb: (H, W, 3) float32 linear light; values below `white` do not change.
        amount: 0 (nothing) .. 1 (all that the network estimates); scales the logarithm of the light.
        white: where the picture clips, see `white_of`.
        threads: None for one per core.

    Raises:
        ValueError: for an amount outside 0..1.
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


def log_gains(rgb: Image, white: float = 1.0, threads: int | None = None) -> Planes:
    """The network's estimate: log of the light as a multiple of white where it is clipped, 0 or more.

    Args:
        rgb: (H, W, 3) linear light.
        white: where the picture clips.
        threads: None for one per core.

    Returns:
        (3, h, w) at the picture's size, or a whole number of times smaller.
    """
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


@compiled()
def _reduce(rgb: Image, first: int, last: int, white: np.float32, shrink: int, means: Planes) -> None:
    """Rows first..last of means (6, h, w) over shrink x shrink pixels: light as a share of white, clipping confidence."""
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
                        clipped += clipping_confidence_of(rgb[v, u, k], white)
                means[k, y, x] = light * share
                means[3 + k, y, x] = clipped * share


@compiled()
def _raise(rgb: Image, first: int, last: int, white: np.float32, amount: np.float32, gain: Planes) -> None:
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
                clipped = clipping_confidence_of(rgb[y, x, k], white)
                if clipped > 0:
                    log_light = (1 - dv) * ((1 - du) * gain[k, y0, x0] + du * gain[k, y0, x1]) + dv * (
                        (1 - du) * gain[k, y1, x0] + du * gain[k, y1, x1]
                    )
                    rgb[y, x, k] += np.float32(clipped * white * (math.exp(amount * log_light) - 1))
