"""Where a photo clips, and by how much each value may be clipped; the rendered picture with its sharp pixels as they were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

FloatImage = npt.NDArray[np.float32]
Map = npt.NDArray[np.float32]

KNEE, CLIPPED = (
    np.float32(0.93),
    np.float32(0.985),
)  # of white: codes 247 and 253 of 8 bits, as JPEG frays what was clipped
_LOWEST_WHITE = 0.85


def white_of(rgb: FloatImage) -> float:
    """Where the picture is clipped: at its largest value if many pixels have it and it is no grey, else 1."""
    top = float(rgb.max())
    if not _LOWEST_WHITE <= top < CLIPPED:
        return 1.0
    at_top, below = _count_top(rgb, np.float32(top))
    return top if at_top > max(16, 1e-4 * rgb.size, below) else 1.0


def clippedness(rgb: FloatImage, white: float = 1.0) -> FloatImage:
    """How surely each channel of (H, W, 3) linear light was clipped: 0 below the knee, 1 at white, smooth between."""
    out = np.empty(rgb.shape, np.float32)
    _clipped_into(np.ascontiguousarray(rgb, np.float32), np.float32(white), out)
    return out


def settle(linear: FloatImage, rgb: FloatImage, light: FloatImage, coc_px: Map) -> None:
    """Takes the recovered light out of the rendered picture again where it was not spread, in place.

    linear: `light` blurred; light: `recover_highlights(rgb)`. In focus the photo stays the photo, and between there and
    1 px of CoC the light comes in little by little.
    """
    _settle(linear, rgb, light, coc_px)


@njit(nogil=True, cache=True)
def _count_top(rgb: FloatImage, top: np.float32) -> tuple[int, int]:
    """How many pixels have their brightest channel at the top, and how many in the tenth below it."""
    at_top, below = 0, 0
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            brightest = max(rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2])
            if brightest >= CLIPPED * top:
                at_top += 1
            elif brightest >= np.float32(0.9) * top:
                below += 1
    return at_top, below


@njit(nogil=True, cache=True)
def clippedness_of(value: np.float32, white: np.float32) -> np.float32:
    """How surely a value was clipped: 0 below the knee, 1 at white, smooth between."""
    into = min(max((value / white - KNEE) / (CLIPPED - KNEE), np.float32(0)), np.float32(1))
    return into * into * (3 - 2 * into)


@njit(nogil=True, cache=True)
def _clipped_into(values: FloatImage, white: np.float32, out: FloatImage) -> None:
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            for k in range(3):
                out[y, x, k] = clippedness_of(values[y, x, k], white)


@njit(nogil=True, cache=True)
def _settle(linear: FloatImage, rgb: FloatImage, light: FloatImage, coc_px: Map) -> None:
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            sharp = 1 - abs(coc_px[y, x])
            if sharp <= 0:
                continue
            for k in range(3):
                more = light[y, x, k] - rgb[y, x, k]
                if more > 0:
                    seen = linear[y, x, k]
                    kept = min(seen, rgb[y, x, k])  # what stands before it may have hidden it
                    if seen == light[y, x, k] and sharp == 1:
                        linear[y, x, k] = rgb[y, x, k]
                    else:
                        linear[y, x, k] = max(seen - sharp * more, kept)
