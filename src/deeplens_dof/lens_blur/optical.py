"""The renderer without a network: a photo in linear light and its circles of confusion to the same with shallow focus."""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from deeplens_dof.lens_blur.layers.inpaint import Hidden, complete
from deeplens_dof.lens_blur.layers.layers import FloatArray, Layers, depth_steps, half_size, halve
from deeplens_dof.lens_blur.tiles import block_stats, view_kernels
from deeplens_dof.lens_blur.tiles.block_plan import STILL_PX, WHOLE_PX, Ways, shells_for
from deeplens_dof.lens_blur.tiles.block_stats import BLOCK
from deeplens_dof.lens_blur.tiles.pyramid import TILE, Level, Shell
from deeplens_dof.lens_blur.tiles.tile_renderer import (
    Lens,
    Rooms,
    TileRenderer,
    blocks_of,
    for_tiles,
    render_shell,
)
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count

SHARP_PX = 0.02  # a CoC below this moves no light
LARGE_PICTURE_PX = (
    4_000_000  # what is hidden is completed at a quarter of a larger picture's size, else at half
)


def render_optical(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
    shells: list[Shell] | None = None,
    apart: Layers | None = None,
) -> FloatArray:
    """rgb (H, W, 3) linear light and coc_px (H, W) signed radii in px to (H, W, 3) linear light, all float32.

    lens_points: at most so many where occlusion matters, and no block whole: a preview. shells: others than `shells_for`
    chooses, for tests. apart: the same photo at full size, taken apart by somebody who knows more of its borders.
    """
    lens, rooms = Lens(aperture, lens_points), Rooms()
    largest_px = float(np.abs(coc_px).max())
    if largest_px <= SHARP_PX:
        return rgb.copy()
    sharp, *blurred = shells or shells_for(largest_px, aperture.is_disc)
    with ThreadPoolExecutor(threads or thread_count()) as pool:
        steps = depth_steps(coc_px)
        layers = half_size(rgb, coc_px, steps, pool) if apart is None else halve(apart, pool)
        hidden = _completed(halve(layers, pool) if coc_px.size > LARGE_PICTURE_PX else layers, apart, pool)
        bounds = (0.0, STILL_PX, *(shell.inner for shell in blurred)) if blurred else (0.0,)
        if apart is None:
            photo = Level.of_photo(rgb, coc_px, steps, hidden, bounds, pool)
        else:
            photo = Level.of_layers(apart, hidden.at_full_size(*coc_px.shape), bounds, pool)
        ways = Ways.of(photo, WHOLE_PX if lens_points is None else 0.0, pool)
        totals: list[tuple[Shell, FloatArray]] = []
        for number, shell in enumerate(blurred):
            while layers.factor < shell.factor:
                layers = halve(layers, pool)
            if hidden.factor != layers.factor:
                hidden = _completed(layers, apart, pool)
            level = Level.of_layers(layers, hidden, bounds, pool)
            rows, columns = level.survey.low.shape
            wanted = block_stats.pooled(1 - ways.whole, shell.factor, rows, columns, margin=1)
            busy = block_stats.pooled(ways.met & (1 - ways.whole), shell.factor, rows, columns) & level.busy(
                slice(number + 2, number + 3), pool
            )
            totals.append((shell, render_shell(level, shell, busy, lens, wanted, rooms, pool)))
        out = np.empty_like(rgb)

        def tile(renderer: TileRenderer, top: int, left: int) -> None:
            part = out[top : top + TILE, left : left + TILE]
            _finish(renderer, sharp, ways, totals, top, left, part)

        for_tiles(coc_px.shape, lambda room: TileRenderer(photo, lens, 4, room), tile, rooms, pool)
    return out


def _completed(layers: Layers, apart: Layers | None, pool: Executor) -> Hidden:
    hidden = complete(layers, pool)
    return hidden if apart is None else hidden.with_known(apart)


def _finish(
    renderer: TileRenderer, sharp: Shell, ways: Ways, totals: list[tuple[Shell, FloatArray]], top: int, left: int,
    out: FloatArray,
) -> None:  # fmt: skip
    """One tile of the picture: what is sharp, the shells put round it from the inside out, divided by what was counted."""
    here = blocks_of(top, left)
    whole, busy = np.ascontiguousarray(ways.whole[here]), np.ascontiguousarray(ways.busy[here])
    renderer.plain(sharp, busy | whole, top, left)
    if busy.any():
        renderer.views(sharp, busy, top, left)
    if whole.any():
        renderer.views(Shell(1, 0.0, math.inf), whole, top, left)
    for shell, total in totals:
        skip = whole | (renderer.level.reach[here] + shell.factor < shell.inner)
        if not skip.all():
            view_kernels.join_shell(renderer.total, skip, BLOCK, total, shell.factor, top, left)
    view_kernels.divide(renderer.total, out)
