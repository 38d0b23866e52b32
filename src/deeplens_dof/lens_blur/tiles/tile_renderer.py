"""Depth of field as the mean of the views of all lens points, band by band.

From a lens point `u` a surface with signed CoC `c` is seen displaced by `c * u`; of several surfaces at one place the
nearest is seen. The mean over the lens is the picture. A band of CoC radii is rendered at the resolution that its smallest
radius allows, and the bands are composited from the sharpest to the most blurred.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from deeplens_dof.lens_blur.layers.layers import STEP_PX
from deeplens_dof.lens_blur.tiles import gather_kernels, segment_kernels, view_kernels, window_kernels
from deeplens_dof.lens_blur.tiles.aperture_spans import Rim, spans_of
from deeplens_dof.lens_blur.tiles.block_stats import BLOCK, TILE
from deeplens_dof.lens_blur.tiles.coc_band import CocBand
from deeplens_dof.lens_blur.tiles.gather_kernels import TilePlace
from deeplens_dof.lens_blur.tiles.pyramid import PyramidLevel
from deeplens_dof.lens_blur.tiles.segment_kernels import Segments
from deeplens_dof.lens_blur.tiles.window_kernels import Window
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.types import Array, Marks, Plane

MOST_POINTS, FEWEST_POINTS = 128, 64
SOFTENED_CELLS = (4.0, 8.0, 16.0)  # CoC from which surfaces are smoothed once, twice, three times
# A spot n times as bright as its surroundings needs so many lens points times n, but no more than these to a cell.
POINTS_PER_CONTRAST, POINTS_PER_CELL, POINTS_FOR_SPOTS = 8.0, 0.6, 1024


def lens_points_for(radius_cells: float) -> int:
    """Number of lens points for a blur of that radius: one for every 2.5 cells of its area, in steps of 16, within limits."""
    enough = 0.4 * math.pi * radius_cells**2
    return int(np.clip(16 * math.ceil(enough / 16), FEWEST_POINTS, MOST_POINTS))


@dataclass(frozen=True, slots=True)
class LensSampler:
    """Chooses lens points of an aperture, `most_points` at most (None: as many as are needed)."""

    aperture: Aperture
    most_points: int | None = None

    def points(self, sums: Array) -> Array:
        """Lens points (n, 2) for a window whose bins hold these sums (see `make_segments`).

        Enough for the largest blur radius, and for the brightest spot not to break into dots, up to POINTS_PER_CELL.
        """
        _, cells, light, brightest = used = sums[sums[:, 1] > 0].T
        radius = np.abs(used[0] / cells)
        contrast = brightest / max(float(light.sum() / cells.sum()), 1e-6)
        enough = np.minimum(POINTS_PER_CONTRAST * contrast, POINTS_PER_CELL * math.pi * radius**2)
        for_spots = min(32 * math.ceil(float(enough.max()) / 32), POINTS_FOR_SPOTS)
        count = max(lens_points_for(float(radius.max())), for_spots)
        return self.aperture.points(min(count, self.most_points or count))


class Scratch(threading.local):
    """Buffers of one thread for windows of up to `cells` cells, kept while a picture is rendered."""

    def __init__(self) -> None:
        self.cells = 0
        self.sums = np.empty((segment_kernels.BINS, 4), np.float32)
        self.bin_coc = np.empty(segment_kernels.BINS, np.float32)

    def grow(self, cells: int) -> None:
        """Makes room for a window of that many cells."""
        if cells <= self.cells:
            return
        self.cells = cells
        self.surfaces, self.through = np.empty(12 * cells, np.float32), np.empty(4 * cells, np.float32)
        self.coc, self.donor = np.empty((3, cells), np.float32), np.empty(cells, np.int32)
        self.soft = np.empty(cells, np.uint8)
        self.softened, self.times = np.empty(4 * cells, np.float32), np.zeros(cells, np.uint8)
        self.bins = np.empty((3, cells), np.int16)
        self.segments, self.ordered = np.empty((6, 4 * cells), np.int32), np.empty((4 * cells, 4), np.int32)

    def window(self, top: int, left: int, rows: int, columns: int) -> Window:
        """A window that is yet to be filled."""
        self.grow(rows * columns)
        return Window(top, left, rows, columns, self.surfaces, self.coc, self.soft, self.through)


class TileRenderer:
    """Renders tiles of one level. One for each thread."""

    def __init__(self, level: PyramidLevel, lens: LensSampler, channels: int, scratch: Scratch) -> None:
        self.level, self.lens, self.scratch = level, lens, scratch
        self.spans, self.vignetting = spans_of(lens.aperture), lens.aperture.vignetting
        self.total = np.empty((TILE, TILE, channels), np.float32)
        self.sums = np.empty((0, 1, 3), np.float32)

    def plain(self, band: CocBand, excluded: Marks, top: int, left: int) -> None:
        """Clears the tile at cell (top, left), then renders its blocks of one unbroken surface, all but the excluded."""
        self.total[:] = 0
        level, here = self.level, blocks_of(top, left)
        smallest, largest = level.stats.smallest[here], level.stats.largest[here]
        skip = excluded | (smallest >= band.outer) | (largest < band.inner)
        if skip.all():
            return
        most = float(largest[skip == 0].max())
        reach = math.ceil(min(most, band.outer) / band.factor) + 2
        side = TILE + 2 * reach
        if self.sums.shape[0] < side:
            self.sums = np.empty((side, side + 1, 3), np.float32)
        if most > 0.5 * band.factor:
            gather_kernels.running_sums(level.colour, top - reach, left - reach, side, side, self.sums)
        gather_kernels.blur_plain(
            level.colour,
            level.coc_px,
            skip.astype(np.uint8),
            self.sums,
            band.limits,
            self.spans,
            self._rim(top, left),
            TilePlace(top, left, reach),
            self.total,
        )

    def _rim(self, top: int, left: int) -> Rim:
        """The rim of the barrel at the cell (top, left)."""
        height, width = self.level.coc_px.shape
        growth = self.vignetting / (0.5 * math.hypot(height, width))
        offset = growth * (left + 0.5 - width / 2), growth * (top + 0.5 - height / 2)
        return Rim(*np.array([*offset, growth], np.float32))

    def views(self, band: CocBand, needs_views: Marks, top: int, left: int) -> None:
        """Renders the marked blocks of the tile at cell (top, left): the mean of the views of all lens points."""
        level = self.level
        marked_rows, marked_columns = np.flatnonzero(needs_views.any(1)), np.flatnonzero(needs_views.any(0))
        first_row, first_column = int(marked_rows[0]), int(marked_columns[0])
        blocks = needs_views[first_row : marked_rows[-1] + 1, first_column : marked_columns[-1] + 1]
        row, column = top // BLOCK + first_row, left // BLOCK + first_column
        nearby = level.reach[row : row + blocks.shape[0], column : column + blocks.shape[1]]
        reach = math.ceil(min(float(nearby.max()), band.outer / band.factor)) + 2
        rows, columns = (side * BLOCK + 2 * reach for side in blocks.shape)
        window = self.scratch.window(row * BLOCK - reach, column * BLOCK - reach, rows, columns)
        segments = self._segments(window, band, reach)
        if segments is None:
            return
        points = self.lens.points(self.scratch.sums)
        y, x = first_row * BLOCK, first_column * BLOCK
        target = self.total[y : y + blocks.shape[0] * BLOCK, x : x + blocks.shape[1] * BLOCK]
        rim = self._rim(row * BLOCK, column * BLOCK)
        view_kernels.mean_of_views(window, segments, reach, band.inner > 0, points, rim, blocks, target)

    def _segments(self, window: Window, band: CocBand, reach: int) -> Segments | None:
        """Fills the window and cuts it into segments; None where the band holds nothing."""
        level, scratch = self.level, self.scratch
        if level.layers is None:
            window_kernels.unmix_window(
                level.colour, level.coc_px, level.steps, level.occluded, window, scratch.donor
            )
        else:
            window_kernels.copy_layers(level.layers, level.occluded, window)
        window_kernels.put_second(level.occluded, level.factor, window)
        widest_px = np.float32(max(float(STEP_PX), 0.5 * band.factor))
        if window_kernels.contrast(window) * POINTS_PER_CONTRAST > FEWEST_POINTS:
            for least_cells in SOFTENED_CELLS:
                if reach > least_cells:
                    least_px = np.float32(least_cells * band.factor)
                    window_kernels.soften(window, least_px, widest_px, scratch.times, scratch.softened)
        count = segment_kernels.make_segments(
            window, scratch.times, band.limits, widest_px, scratch.bins, scratch.sums, scratch.segments
        )
        if count == 0:
            return None
        row_start = np.empty((int((scratch.sums[:, 1] > 0).sum()), window.rows + 1), np.int32)
        bins, first_near = segment_kernels.order_segments(
            scratch.segments, count, window.rows, scratch.sums, scratch.bin_coc, row_start, scratch.ordered
        )
        return Segments(scratch.ordered, row_start, scratch.bin_coc, bins, first_near)


def blocks_of(top: int, left: int) -> tuple[slice, slice]:
    """The blocks of the tile at cell (top, left)."""
    across = TILE // BLOCK
    return slice(top // BLOCK, top // BLOCK + across), slice(left // BLOCK, left // BLOCK + across)


def for_tiles(
    shape: tuple[int, ...],
    renderer: Callable[[], TileRenderer],
    work: Callable[[TileRenderer, int, int], None],
    pool: Executor,
) -> None:
    """Calls `work(renderer, top, left)` for every tile of a picture of that shape, with one renderer for each thread."""
    own = threading.local()

    def tile(top: int, left: int) -> None:
        if not hasattr(own, "renderer"):
            own.renderer = renderer()
        work(own.renderer, top, left)

    corners = [(top, left) for top in range(0, shape[0], TILE) for left in range(0, shape[1], TILE)]
    for done in [pool.submit(tile, *corner) for corner in corners]:
        done.result()


def render_band(
    level: PyramidLevel,
    band: CocBand,
    needs_views: Marks,
    visible: Marks,
    lens: LensSampler,
    scratch: Scratch,
    pool: Executor,
) -> Plane:
    """A whole band on its own cells.

    Args:
        level: of the band's factor.
        band: the CoC radii to render.
        needs_views: blocks to render by views, (rows, columns).
        visible: blocks that are read later; the others stay empty.
        lens: the lens points.
        scratch: buffers.
        pool: runs the tiles.

    Returns:
        (h, w, 8) colour and coverage of the near side, then of the far side.
    """
    total = np.empty((*level.coc_px.shape, 8), np.float32)

    def tile(renderer: TileRenderer, top: int, left: int) -> None:
        here = blocks_of(top, left)
        renderer.plain(band, needs_views[here] | (1 - visible[here]), top, left)
        views = np.ascontiguousarray(needs_views[here] & visible[here])
        if views.any():
            renderer.views(band, views, top, left)
        part = total[top : top + TILE, left : left + TILE]
        part[:] = renderer.total[: part.shape[0], : part.shape[1]]

    for_tiles(level.coc_px.shape, lambda: TileRenderer(level, lens, 8, scratch), tile, pool)
    return total
