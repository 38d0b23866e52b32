"""Where a photo clips, how surely each value was clipped, and in-focus pixels restored after the blur."""

from __future__ import annotations

import numpy as np

from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Image, Plane

# Shares of white between which a value may have been clipped: codes 247 and 253 of 8 bits, because JPEG frays clipped areas.
KNEE, CLIPPED = np.float32(0.93), np.float32(0.985)
_LOWEST_WHITE = 0.85


def white_of(rgb: Image) -> float:
    """The value at which a picture clips, 0.85..1: its largest one if many pixels have it and it is no grey, else 1.

    Args:
        rgb: (H, W, 3) linear light.
    """
    top = float(rgb.max())
    if not _LOWEST_WHITE <= top < CLIPPED:
        return 1.0
    at_top, below = _count_top(rgb, np.float32(top))
    return top if at_top > max(16, 1e-4 * rgb.size, below) else 1.0


def clipping_confidence(rgb: Image, white: float = 1.0) -> Image:
    """How surely each channel was clipped: 0 below the knee, 1 at white, smooth between.

    Args:
        rgb: (H, W, 3) linear light.
        white: where it clips.

    Returns:
        (H, W, 3), 0..1.
    """
    out = np.empty(rgb.shape, np.float32)
    _confidence_into(np.ascontiguousarray(rgb, np.float32), np.float32(white), out)
    return out


def restore_in_focus(blurred: Image, rgb: Image, light: Image, coc_px: Plane) -> None:
    """Restores the original (clipped) value of in-focus pixels, in place; blends between 0 and 1 px of CoC.

    Args:
        blurred: (H, W, 3) linear light, `light` after the blur; changed.
        rgb: (H, W, 3) linear light of the photo.
        light: the same with its highlights reconstructed.
        coc_px: (H, W) signed CoC radii in px.
    """
    _restore(blurred, rgb, light, coc_px)


@compiled()
def _count_top(rgb: Image, top: np.float32) -> tuple[int, int]:
    """How many pixels have their brightest channel at the top, and how many in the tenth below."""
    at_top, below = 0, 0
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            brightest = max(rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2])
            if brightest >= CLIPPED * top:
                at_top += 1
            elif brightest >= np.float32(0.9) * top:
                below += 1
    return at_top, below


@compiled()
def clipping_confidence_of(value: np.float32, white: np.float32) -> np.float32:
    """How surely a value was clipped: 0 below the knee, 1 at white, smooth between."""
    into = min(max((value / white - KNEE) / (CLIPPED - KNEE), np.float32(0)), np.float32(1))
    return into * into * (3 - 2 * into)


@compiled()
def _confidence_into(values: Image, white: np.float32, out: Image) -> None:
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            for k in range(3):
                out[y, x, k] = clipping_confidence_of(values[y, x, k], white)


@compiled()
def _restore(blurred: Image, rgb: Image, light: Image, coc_px: Plane) -> None:
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            sharp = 1 - abs(coc_px[y, x])
            if sharp <= 0:
                continue
            for k in range(3):
                more = light[y, x, k] - rgb[y, x, k]
                if more > 0:
                    seen = blurred[y, x, k]
                    kept = min(seen, rgb[y, x, k])  # a nearer surface may hide the pixel
                    if seen == light[y, x, k] and sharp == 1:
                        blurred[y, x, k] = rgb[y, x, k]
                    else:
                        blurred[y, x, k] = max(seen - sharp * more, kept)
