"""The renderer without a network: a photo in linear light and its circles of confusion to the same with shallow focus."""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deeplens_dof.lens_blur import blocks, paint_kernels
from deeplens_dof.lens_blur.blocks import BLOCK, Blocks
from deeplens_dof.lens_blur.complete import Hidden, complete
from deeplens_dof.lens_blur.layers import FloatArray, Layers, depth_steps, half_size, halve
from deeplens_dof.lens_blur.views import (
    TILE,
    Lens,
    Level,
    Rooms,
    Shell,
    TileRenderer,
    blocks_of,
    for_tiles,
    render_shell,
)
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import cores

SHARP_PX = 0.02  # a CoC below this moves no light
SHARPEST_SHELL_PX = 8.0  # what is blurred less is rendered at full size
LARGEST_CELLS = 32.0  # CoC radius in cells that a shell may hold
SHELL_RATIO = 4
WHOLE_PX = 34.0  # where no CoC is larger, blocks are rendered at full size with everything in them
LARGE_PICTURE_PX = (
    4_000_000  # what is hidden is completed at a quarter of a larger picture's size, else at half
)
STILL_PX = 1.0  # a surface with a smaller CoC looks the same from every lens point


def shells_for(largest_px: float, is_disc: bool = True) -> list[Shell]:
    """How radii up to `largest_px` are shared among resolutions, the sharpest first.

    A shell begins at no less than 2 cells of CoC, where its cells are fine enough to be invisible; at twice that for
    shapes with corners and holes.
    """
    inner = SHARPEST_SHELL_PX if is_disc else 2 * SHARPEST_SHELL_PX
    if largest_px <= inner:
        return [Shell(1, 0.0, math.inf)]
    factor = 2 if largest_px <= 2 * LARGEST_CELLS else SHELL_RATIO
    shells = [Shell(1, 0.0, inner)]
    while largest_px / factor > LARGEST_CELLS:
        shells.append(Shell(factor, inner, inner * SHELL_RATIO))
        factor, inner = factor * SHELL_RATIO, inner * SHELL_RATIO
    return [*shells, Shell(factor, inner, math.inf)]


@dataclass(frozen=True, slots=True)
class Ways:
    """How each block of the photo is rendered at full size: whole, with all surfaces in one view, or only its sharp
    shell, by views where busy and by spans elsewhere. met: where views are needed at all."""

    whole: Blocks
    busy: Blocks
    met: Blocks

    @classmethod
    def of(cls, photo: Level, whole_px: float, pool: Executor) -> Ways:
        """Blocks where surfaces of several shells move before each other are whole, unless a CoC above whole_px comes by."""
        met = photo.busy(slice(None), pool)
        if len(photo.bounds) == 1:
            return cls(np.zeros(met.shape, np.uint8), met.astype(np.uint8), met.astype(np.uint8))
        survey = photo.survey
        moving = (blocks.least_beside(survey.smallest) < photo.bounds[2]) & (survey.largest >= STILL_PX)
        moving |= photo.met_by_steps(slice(1, 2))
        whole = met & moving & (photo.reach <= whole_px)
        busy = photo.met_by_steps(slice(0, 2)) & ~whole
        return cls(whole.astype(np.uint8), busy.astype(np.uint8), met.astype(np.uint8))


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
    with ThreadPoolExecutor(threads or cores()) as pool:
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
            wanted = blocks.pooled(1 - ways.whole, shell.factor, rows, columns, margin=1)
            busy = blocks.pooled(ways.met & (1 - ways.whole), shell.factor, rows, columns) & level.busy(
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
            paint_kernels.join_shell(renderer.total, skip, BLOCK, total, shell.factor, top, left)
    paint_kernels.divide(renderer.total, out)
