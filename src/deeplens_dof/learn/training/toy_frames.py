"""Frames of plain shapes for the toy recipes: no assets, no OpenGL, made in a second. They teach nothing about photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.frames import Frame, frame_path, write_frame

HEIGHT, WIDTH = 84, 112
_VERSION = 1


def toy_frames(count: int) -> Path:
    """The folder of `count` frames below the cache folder; missing ones are made."""
    folder = cache_folder() / "scenes" / f"toy_{_VERSION}"
    for index in range(count):
        if not frame_path(folder, index).exists():
            write_frame(frame_path(folder, index), toy_frame(index))
    return folder


def toy_frame(index: int) -> Frame:
    """Ground that rises to a horizon and a disc that stands on it, both brighter the nearer they are. 1/m."""
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    horizon = rng.uniform(0.2, 0.5) * HEIGHT
    inverse_depth = np.maximum(rows - horizon, 0) / HEIGHT
    radius = rng.uniform(0.12, 0.25) * HEIGHT
    foot = rng.uniform(0.7, 1.0) * HEIGHT
    disc = np.hypot(rows - foot + radius, columns - rng.uniform(0.2, 0.8) * WIDTH) < radius
    inverse_depth[disc] = (foot - horizon) / HEIGHT
    light = (
        40 + 250 * inverse_depth[..., None] * rng.uniform(0.7, 1, 3) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    )
    rgb = np.rint(np.clip(light, 0, 255)).astype(np.uint8)
    return Frame(rgb, inverse_depth, disc.astype(np.uint8) * np.uint8(255), {"seed": 0, "index": index})
