"""From linear light to the picture of a phone or a camera: defocus, exposure and tone.

Noise, JPEG, colour and sharpness vary each time a frame is read for training (`learn/training/depth_batches.py`).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[Any]
_RADII = (1.5, 3.0, 5.0, 8.0, 12.0)  # px of the pre-blurred layers between which defocus is interpolated


def contact_shadow(linear: FloatImage, inverse_depth: FloatImage, radius: int, strength: float) -> FloatImage:
    """Darkens pixels close to nearer objects (screen-space ambient occlusion). radius: px; strength: 0..1."""
    distance = 1 / np.maximum(inverse_depth, 1e-3)
    hidden = np.zeros_like(distance)
    for step in range(8):
        reach = radius * (1 + step % 2)
        shift = (round(reach * np.sin(step * np.pi / 4)), round(reach * np.cos(step * np.pi / 4)))
        behind = distance - np.roll(distance, shift, (0, 1))
        hidden += (behind > 0.012 * distance) & (behind < 0.15 * distance)
    hidden = cv2.GaussianBlur(np.clip(hidden / 8 - 0.15, 0, 1), (0, 0), 2)
    return linear * (1 - strength * hidden)[..., None]


def defocused(linear: FloatImage, coc_px: FloatImage) -> FloatImage:
    """A quick lens blur, good enough for a network to learn the look of blur; the label stays sharp.

    coc_px: (H, W) unsigned radius. Interpolates between pictures blurred by discs; light bleeds across borders, as it does
    around defocused foregrounds.
    """
    coc = cv2.GaussianBlur(coc_px, (0, 0), 1.2)
    blurred, previous = linear.copy(), 0.0
    for radius in _RADII:
        size = 2 * int(radius + 0.5) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.float32)
        weight = np.clip((coc - previous) / (radius - previous), 0, 1)[..., None]
        if weight.max() > 0:
            blurred = blurred * (1 - weight) + cv2.filter2D(linear, -1, disc / disc.sum()) * weight
        previous = radius
    return blurred


def random_defocus(linear: FloatImage, inverse_depth: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Focuses on a random point or, half of the time, on a near one, with a random aperture."""
    height, width = inverse_depth.shape
    row, column = rng.integers(height // 4, 3 * height // 4), rng.integers(width // 4, 3 * width // 4)
    focus = inverse_depth[row, column] if rng.random() < 0.5 else np.percentile(inverse_depth, 90)
    away = np.abs(inverse_depth - focus)
    return defocused(linear, away * rng.uniform(3, 14) / max(float(np.percentile(away, 97)), 1e-3))


def exposed(linear: FloatImage, rng: np.random.Generator, night: bool) -> npt.NDArray[np.uint8]:
    """sRGB uint8, by exposure for the highlights, white balance, a soft shoulder and a tone curve."""
    bright = float(np.percentile(linear.mean(2), rng.uniform(75, 97)))
    level = rng.uniform(0.1, 0.5) if night else rng.uniform(0.4, 0.95)
    picture = linear * (level / max(bright, 1e-3)) * np.clip(1 + rng.uniform(-0.12, 0.12, 3), 0.7, 1.3)
    picture = np.clip(picture, 0, 6 if not night else 30)
    picture = np.where(picture < 0.8, picture, 0.8 + 0.2 * (1 - np.exp(-(picture - 0.8) / 0.2)))
    picture = np.clip(picture, 0, 1) ** (1 / rng.uniform(1.9, 2.6))
    if rng.random() < 0.5:  # an S-curve
        amount = rng.uniform(0, 0.6)
        picture = picture * (1 - amount) + picture * picture * (3 - 2 * picture) * amount
    return np.rint(picture * 255).astype(np.uint8)
