"""The renderer without a network: linear light and circles of confusion in, linear light with shallow focus out."""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from deeplens_dof.lens_blur.layers.inpaint import Occluded, inpaint
from deeplens_dof.lens_blur.layers.layers import Layers
from deeplens_dof.lens_blur.layers.reduce import half_size, halve
from deeplens_dof.lens_blur.layers.unmix import depth_steps
from deeplens_dof.lens_blur.tiles import view_kernels
from deeplens_dof.lens_blur.tiles.block_plan import SINGLE_PASS_PX, STILL_PX, BlockPlan
from deeplens_dof.lens_blur.tiles.block_stats import TILE, pooled
from deeplens_dof.lens_blur.tiles.coc_band import CocBand, bands_for
from deeplens_dof.lens_blur.tiles.pyramid import PyramidLevel
from deeplens_dof.lens_blur.tiles.tile_renderer import (
    LensSampler,
    Scratch,
    TileRenderer,
    blocks_of,
    for_tiles,
    render_band,
)
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count
from deeplens_dof.types import Array, Image, Plane

SHARP_PX = 0.02  # a CoC below this moves no light
LARGE_PICTURE_PX = 4_000_000  # a larger picture is inpainted at a quarter of its size, others at half


def render_optical(
    rgb: Image,
    coc_px: Plane,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
    bands: list[CocBand] | None = None,
    known: Layers | None = None,
) -> Image:
    """The picture as a lens would have seen it, (H, W, 3) float32 linear light.

    Args:
        rgb: (H, W, 3) float32 linear light.
        coc_px: (H, W) float32 signed CoC radii in px.
        aperture: shape of the aperture.
        threads: None for one per core; the result does not depend on it.
        lens_points: a preview with at most so many lens points where occlusion matters, and no block in a single pass.
        bands: instead of those that `bands_for` chooses, for tests.
        known: the same photo unmixed into layers at full size, when its borders are known better than from `rgb`.
    """
    largest_px = float(np.abs(coc_px).max())
    if largest_px <= SHARP_PX:
        return rgb.copy()
    lens, scratch = LensSampler(aperture, lens_points), Scratch()
    sharp, *blurred = bands or bands_for(largest_px, aperture.is_disc)
    bounds = (0.0, STILL_PX, *(band.inner for band in blurred)) if blurred else (0.0,)
    with ThreadPoolExecutor(threads or thread_count()) as pool:
        steps = depth_steps(coc_px)
        layers = half_size(rgb, coc_px, steps, pool) if known is None else halve(known, pool)
        coarse = halve(layers, pool) if coc_px.size > LARGE_PICTURE_PX else layers
        occluded = _occluded(coarse, known, pool)
        if known is None:
            photo = PyramidLevel.of_photo(rgb, coc_px, steps, occluded, bounds, pool)
        else:
            photo = PyramidLevel.of_layers(known, occluded.at_full_size(*coc_px.shape), bounds, pool)
        plan = BlockPlan.of(photo, SINGLE_PASS_PX if lens_points is None else 0.0, pool)
        totals: list[tuple[CocBand, Array]] = []
        for number, band in enumerate(blurred):
            while layers.factor < band.factor:
                layers = halve(layers, pool)
            if occluded.factor != layers.factor:
                occluded = _occluded(layers, known, pool)
            level = PyramidLevel.of_layers(layers, occluded, bounds, pool)
            rows, columns = level.stats.low.shape
            visible = pooled(1 - plan.single_pass, band.factor, rows, columns, margin=1)
            near_edge = pooled(plan.near_edge & (1 - plan.single_pass), band.factor, rows, columns)
            needs_views = near_edge & level.needs_views(slice(number + 2, number + 3), pool)
            totals.append((band, render_band(level, band, needs_views, visible, lens, scratch, pool)))
        out = np.empty_like(rgb)

        def tile(renderer: TileRenderer, top: int, left: int) -> None:
            part = out[top : top + TILE, left : left + TILE]
            _finish(renderer, sharp, plan, totals, (top, left), part)

        for_tiles(coc_px.shape, lambda: TileRenderer(photo, lens, 4, scratch), tile, pool)
    return out


def _occluded(layers: Layers, known: Layers | None, pool: Executor) -> Occluded:
    """The occluded background at the size of `layers`, with the known parts of it."""
    occluded = inpaint(layers, pool)
    return occluded if known is None else occluded.with_known(known)


def _finish(
    renderer: TileRenderer,
    sharp: CocBand,
    plan: BlockPlan,
    totals: list[tuple[CocBand, Array]],
    corner: tuple[int, int],
    out: Image,
) -> None:
    """Writes one tile of the picture: the sharp band, the others composited from the sharpest on, colour over coverage."""
    top, left = corner
    here = blocks_of(top, left)
    single_pass = np.ascontiguousarray(plan.single_pass[here])
    needs_views = np.ascontiguousarray(plan.needs_views[here])
    renderer.plain(sharp, needs_views | single_pass, top, left)
    if needs_views.any():
        renderer.views(sharp, needs_views, top, left)
    if single_pass.any():
        renderer.views(CocBand(1, 0.0, math.inf), single_pass, top, left)
    for band, total in totals:
        skip = single_pass | (renderer.level.reach[here] + band.factor < band.inner)
        if not skip.all():
            view_kernels.composite_band(renderer.total, skip, total, band.factor, top, left)
    view_kernels.divide(renderer.total, out)
