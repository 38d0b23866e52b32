"""The renderer without a network: a photo in linear light and its circles of confusion to the same with shallow focus."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import views_kernels
from .aperture import Aperture
from .complete import complete
from .layers import FloatArray, depth_steps, half_size, halve
from .views import TILE, Level, Shell, TileRenderer, render_shell

SHARP_PX = 0.02  # a CoC below this moves no light
SHARPEST_SHELL_PX = 8.0  # what is blurred less is rendered at full size
SMALL_PICTURE_PX = 1_500_000  # a picture of at most so many pixels affords twice that
LARGEST_CELLS = 20.0  # CoC radius in cells that a shell may hold
SHELL_RATIO = 4


def shells_for(largest_px: float, pixels: int) -> list[Shell]:
    """How radii up to `largest_px` are shared among resolutions of a picture of so many pixels, the sharpest first.

    A shell begins at no less than 2 cells of CoC, where its cells are fine enough to be invisible.
    """
    inner = SHARPEST_SHELL_PX * (2 if pixels <= SMALL_PICTURE_PX else 1)
    if largest_px <= inner:
        return [Shell(1, 0.0, math.inf)]
    factor = 2 if largest_px <= 32 else SHELL_RATIO
    shells = [Shell(1, 0.0, inner)]
    while largest_px / factor > LARGEST_CELLS:
        shells.append(Shell(factor, inner, inner * SHELL_RATIO))
        factor, inner = factor * SHELL_RATIO, inner * SHELL_RATIO
    return [*shells, Shell(factor, inner, math.inf)]


def render_optical(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    shells: list[Shell] | None = None,
) -> FloatArray:
    """rgb (H, W, 3) linear light and coc_px (H, W) signed radii in px to (H, W, 3) linear light, all float32."""
    largest_px = float(np.abs(coc_px).max())
    if largest_px <= SHARP_PX:
        return rgb.copy()
    sharp_shell, *blurred = shells or shells_for(largest_px, coc_px.size)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        steps = depth_steps(coc_px)
        layers = half_size(rgb, coc_px, steps, pool)
        hidden = complete(layers)
        photo = Level(rgb, coc_px, steps, hidden)
        busy = photo.busy_blocks(sharp_shell)
        totals: list[tuple[int, FloatArray]] = []
        for shell in blurred:
            while layers.factor < shell.factor:
                layers = halve(layers, pool)
            if hidden.factor != layers.factor:
                hidden = complete(layers)
            totals.append(
                (
                    shell.factor,
                    render_shell(Level.of_layers(layers, hidden), shell, aperture, largest_px, pool),
                )
            )
        out = np.empty_like(rgb)

        def row(top: int) -> None:
            renderer = TileRenderer(photo, sharp_shell, busy, aperture, largest_px)
            for left in range(0, rgb.shape[1], TILE):
                part = out[top : top + TILE, left : left + TILE]
                _join(renderer.tile(top, left), totals, top, left, part)

        for done in [pool.submit(row, top) for top in range(0, rgb.shape[0], TILE)]:
            done.result()
    return out


def _join(
    sharp: FloatArray, totals: list[tuple[int, FloatArray]], top: int, left: int, out: FloatArray
) -> None:
    """Puts the shells round the sharp one, from the inside out, and divides by what was counted."""
    height, width = out.shape[:2]
    joined = np.ascontiguousarray(sharp[:height, :width, :4])
    for factor, total in totals:
        views_kernels.join_shell(joined, total, factor, top, left)
    out[:] = joined[..., :3] / np.maximum(joined[..., 3:], np.float32(1e-6))
