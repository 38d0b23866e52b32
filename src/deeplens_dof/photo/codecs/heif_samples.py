"""Samples decoded by pillow-heif, scaled to the full range of their type."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeplens_dof.photo.contents import Pixels


def samples_of(image: Any) -> tuple[Pixels, bool, bool]:
    """Samples (H, W, channels), uint8, or uint16 over its full range; whether the last is alpha, and premultiplied."""
    letters, _, bits_text = image.mode.partition(";")
    bits = int(bits_text.rstrip("LB") or 8)
    channels = 1 if letters in ("L", "I") else len(letters)
    data = image.data
    width, height = image.size
    flat = np.frombuffer(data, np.uint8 if bits == 8 else np.dtype("<u2"))
    samples = flat[: width * height * channels].reshape(height, width, channels)
    if 8 < bits < 16:
        most = (1 << bits) - 1
        widened = (np.arange(most + 1, dtype=np.uint32) * 65535 + most // 2) // most
        samples = widened.astype(np.uint16)[np.minimum(samples, most)]
    return samples, letters[-1] in "Aa", letters[-1] == "a"
