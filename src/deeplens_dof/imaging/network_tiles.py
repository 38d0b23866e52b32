"""Tiles of a picture for networks: windows with a halo, sizes that are multiples."""

from __future__ import annotations

import numpy as np

from deeplens_dof.types import Array


def tile_window(start: int, length: int, tile: int, halo: int) -> slice:
    """Rows or columns of the tile that begins at `start`, with a halo on both sides, cut at the picture's border."""
    return slice(max(0, start - halo), min(length, start + tile + halo))


def padded_batch(values: Array, multiple: int) -> Array:
    """(h, w, C) to (1, C, H, W); the last row and column are repeated up to the next multiple."""
    rows, columns = (-side % multiple for side in values.shape[:2])
    padded = np.pad(values, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])
