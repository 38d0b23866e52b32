"""Holes of a picture, such as the transparent parts of a cut-out, filled from what is visible around them."""

from __future__ import annotations

import numpy as np

from deeplens_dof.imaging.resize import resize
from deeplens_dof.types import Image, Plane


def filled(picture: Image, cover: Plane) -> Image:
    """The picture with colours continued smoothly into its holes; colours in holes count for nothing.

    Means over ever larger squares, weighted by cover (the pull), are carried back where nothing finer is known (the push).

    Args:
        picture: float32 (H, W, C).
        cover: (H, W), 0 in a hole; elsewhere the weight of a pixel, which stays as it is.

    Returns:
        float32 (H, W, C); black when all is a hole.
    """
    holes = cover <= 0
    known = np.where(holes[..., None], np.float32(0), picture).astype(np.float32)
    height, width = cover.shape
    if not holes.any() or holes.all() or max(height, width) == 1:
        return known
    weights = np.maximum(cover, 0).astype(np.float32)
    sums, share = _halved(known * weights[..., None]), _halved(weights[..., None])
    means = sums / np.maximum(share, np.float32(1e-12))
    coarse = filled(means.astype(np.float32), np.minimum(share[..., 0], np.float32(1)))
    size = 2 * coarse.shape[0], 2 * coarse.shape[1]
    for channel in range(known.shape[2]):
        wide = resize(coarse[..., channel], *size)[:height, :width]
        np.copyto(known[..., channel], wide, where=holes)
    return known


def _halved(values: Image) -> Image:
    """Sums of two by two pixels; those beyond the border count as 0."""
    rows, columns = values.shape[0] % 2, values.shape[1] % 2
    padded = np.pad(values, ((0, rows), (0, columns), (0, 0)))
    summed: Image = padded.reshape(padded.shape[0] // 2, 2, -1, 2, padded.shape[2]).sum((1, 3))
    return summed
