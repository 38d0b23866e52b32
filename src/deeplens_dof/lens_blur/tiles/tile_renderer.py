"""Depth of field as the mean of what each point of the lens sees, shell by shell.

From a lens point `u` a surface with signed CoC `c` is seen displaced by `c * u`; of several surfaces at one place the
nearest is seen. The mean over the lens is the picture. A shell is what has a CoC between two radii; it is rendered at
the resolution that its smallest CoC allows, and the shells are put round each other from the sharpest out.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.layers.layers import ALPHA_PRIOR, STEP_PX, FloatArray
from deeplens_dof.lens_blur.tiles import gather_kernels, view_kernels, window_kernels
from deeplens_dof.lens_blur.tiles.aperture_spans import shape_spans
from deeplens_dof.lens_blur.tiles.block_stats import BLOCK, Blocks
from deeplens_dof.lens_blur.tiles.pyramid import TILE, Level, Shell
from deeplens_dof.optics.aperture import Aperture

MOST_POINTS, FEWEST_POINTS = 128, 64
SOFTENED_CELLS = (4.0, 8.0, 16.0)  # CoC from which surfaces are evened out once, twice, three times
# A spot n times as bright as its surroundings needs so many lens points times n, but no more than these to a cell.
POINTS_PER_CONTRAST, POINTS_PER_CELL, POINTS_FOR_LAMPS = 8.0, 0.6, 1024


def lens_points_for(radius_cells: float) -> int:
    """Lens points for a blur of that radius: one for every 2.5 cells of its area, in steps of 16, within limits."""
    wanted = 0.4 * math.pi * radius_cells**2
    return int(np.clip(16 * math.ceil(wanted / 16), FEWEST_POINTS, MOST_POINTS))


@dataclass(frozen=True, slots=True)
class Lens:
    """The aperture, and how many of its points are looked through at most (None: as many as are needed)."""

    aperture: Aperture
    most_points: int | None = None

    def points(self, sums: FloatArray) -> FloatArray:
        """Lens points for a window whose bins hold these sums (see `make_runs`): enough for the largest blur, and so many
        that the brightest spot does not show them one by one, as far as there are cells for them."""
        _, cells, light, brightest = held = sums[sums[:, 1] > 0].T
        radius = np.abs(held[0] / cells)
        contrast = brightest / max(float(light.sum() / cells.sum()), 1e-6)
        wanted = np.minimum(POINTS_PER_CONTRAST * contrast, POINTS_PER_CELL * math.pi * radius**2)
        lamps = min(32 * math.ceil(float(wanted.max()) / 32), POINTS_FOR_LAMPS)
        count = max(lens_points_for(float(radius.max())), lamps)
        return self.aperture.points(min(count, self.most_points or count))


@dataclass(slots=True)
class _Room:
    """Scratch of one thread for windows of up to `cells` cells."""

    cells: int = 0
    surfaces: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    through: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    coc: FloatArray = field(default_factory=lambda: np.empty((2, 0), np.float32))
    softened: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    times: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    soft: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    behind: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    bins: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty((2, 0), np.int16))
    runs: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((6, 0), np.int32))
    ordered: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 4), np.int32))
    sums: FloatArray = field(default_factory=lambda: np.empty((window_kernels.BINS, 4), np.float32))
    bin_coc: FloatArray = field(default_factory=lambda: np.empty(window_kernels.BINS, np.float32))

    def grow(self, cells: int) -> None:
        if cells > self.cells:
            self.cells = cells
            self.surfaces, self.through = np.empty(12 * cells, np.float32), np.empty(4 * cells, np.float32)
            self.coc, self.behind = np.empty((3, cells), np.float32), np.empty(cells, np.int32)
            self.soft = np.empty(cells, np.uint8)
            self.softened, self.times = np.empty(4 * cells, np.float32), np.zeros(cells, np.uint8)
            self.bins = np.empty((3, cells), np.int16)
            self.runs, self.ordered = np.empty((6, 4 * cells), np.int32), np.empty((4 * cells, 4), np.int32)


class TileRenderer:
    """Renders tiles of one level, with room for their windows. One for each thread."""

    def __init__(self, level: Level, lens: Lens, channels: int, room: _Room) -> None:
        self.level, self.lens, self.shape = level, lens, shape_spans(lens.aperture)
        self.total = np.empty((TILE, TILE, channels), np.float32)
        self.sums = np.empty((0, 1, 3), np.float32)
        self.room = room

    def plain(self, shell: Shell, busy: Blocks, top: int, left: int) -> None:
        """The blocks of the tile at cell (top, left) that are not busy: one unbroken surface each. Clears the tile."""
        self.total[:] = 0
        level, survey, here = self.level, self.level.survey, blocks_of(top, left)
        smallest, largest = survey.smallest[here], survey.largest[here]
        skip = busy | (smallest >= shell.outer) | (largest < shell.inner)
        if skip.all():
            return
        most = float(largest[skip == 0].max())
        reach = math.ceil(min(most, shell.outer) / shell.factor) + 2
        side = TILE + 2 * reach
        if self.sums.shape[0] < side:
            self.sums = np.empty((side, side + 1, 3), np.float32)
        if most > 0.5 * shell.factor:
            gather_kernels.running_sums(level.colour, top - reach, left - reach, side, side, self.sums)
        gather_kernels.blur_plain(
            level.colour, level.coc_px, skip.astype(np.uint8), BLOCK, self.sums, shell.constants(), self.shape.first,
            self.shape.spans, self._barrel(top, left), top, left, reach, self.total,
        )  # fmt: skip

    def _barrel(self, top: int, left: int) -> FloatArray:
        """Offset (x, y) of the barrel's rim, in CoC units, at the cell (top, left), and how it grows from cell to cell."""
        height, width = self.level.coc_px.shape
        growth = self.shape.vignetting / (0.5 * math.hypot(height, width))
        return np.array(
            [growth * (left + 0.5 - width / 2), growth * (top + 0.5 - height / 2), growth], np.float32
        )

    def views(self, shell: Shell, busy: Blocks, top: int, left: int) -> None:
        """The busy blocks of the tile at cell (top, left): the mean of what each lens point sees."""
        level, room = self.level, self.room
        rows_busy, columns_busy = np.flatnonzero(busy.any(1)), np.flatnonzero(busy.any(0))
        first_row, first_column = int(rows_busy[0]), int(columns_busy[0])
        part = busy[first_row : rows_busy[-1] + 1, first_column : columns_busy[-1] + 1]
        at = (top // BLOCK + first_row, left // BLOCK + first_column)
        nearby = level.reach[at[0] : at[0] + part.shape[0], at[1] : at[1] + part.shape[1]]
        reach = math.ceil(min(float(nearby.max()), shell.outer / shell.factor)) + 2
        rows, columns = (side * BLOCK + 2 * reach for side in part.shape)
        cells = rows * columns
        room.grow(cells)
        where = (np.float32(STEP_PX), at[0] * BLOCK - reach, at[1] * BLOCK - reach, rows, columns)
        front, back, deep = (room.surfaces[4 * cells * k : 4 * cells * (k + 1)] for k in range(3))
        window = (front, room.through, room.soft, room.coc[0], back, room.coc[1])
        if level.layers is None:
            step_px, *corner = where
            window_kernels.split_pixels(
                level.colour, level.coc_px, level.steps, level.hidden.colour, level.hidden.coc, level.hidden.factor, step_px,
                np.float32(ALPHA_PRIOR), *corner, *window, room.behind,
            )  # fmt: skip
        else:
            window_kernels.copy_layers(
                *level.layers.arrays, level.hidden.colour, level.hidden.coc, *where, *window
            )
        hidden = level.hidden
        window_kernels.put_deep(
            hidden.colour, hidden.coc, hidden.deep_colour, hidden.deep_coc, hidden.factor // level.factor, *where,
            room.coc[0], room.coc[1], deep, room.coc[2],
        )  # fmt: skip
        widest_px = np.float32(max(STEP_PX, 0.5 * shell.factor))
        if window_kernels.contrast(front, cells) * POINTS_PER_CONTRAST > FEWEST_POINTS:
            for least_cells in SOFTENED_CELLS:
                if reach > least_cells:
                    window_kernels.soften(
                        front, room.coc[0], room.soft, rows, columns, np.float32(least_cells * shell.factor), widest_px,
                        room.times, room.softened,
                    )  # fmt: skip
        count = window_kernels.make_runs(
            room.surfaces, room.coc, room.soft, room.times, rows, columns, shell.constants(), widest_px, room.bins,
            room.sums, room.runs,
        )  # fmt: skip
        if count == 0:
            return
        row_start = np.empty((int((room.sums[:, 1] > 0).sum()), rows + 1), np.int32)
        used, first_near = window_kernels.order_runs(
            room.runs, count, rows, room.sums, room.bin_coc, row_start, room.ordered
        )
        points = self.lens.points(room.sums)
        y, x = first_row * BLOCK, first_column * BLOCK
        target = self.total[y : y + part.shape[0] * BLOCK, x : x + part.shape[1] * BLOCK]
        view_kernels.mean_of_views(
            room.surfaces, room.through, room.ordered, row_start, room.bin_coc, used, first_near, shell.inner > 0, rows,
            reach, points, self._barrel(at[0] * BLOCK, at[1] * BLOCK), part, BLOCK, target,
        )  # fmt: skip


def blocks_of(top: int, left: int) -> tuple[slice, slice]:
    """The blocks of the tile at cell (top, left)."""
    across = TILE // BLOCK
    return slice(top // BLOCK, top // BLOCK + across), slice(left // BLOCK, left // BLOCK + across)


class Rooms(threading.local):
    """One room for each thread, for all that is rendered of a picture."""

    def __init__(self) -> None:
        self.room = _Room()


def for_tiles(
    shape: tuple[int, int],
    renderer: Callable[[_Room], TileRenderer],
    work: Callable[[TileRenderer, int, int], None],
    rooms: Rooms,
    pool: Executor,
) -> None:
    """Calls `work(renderer, top, left)` for every tile of a picture of that shape, with one renderer for each thread."""
    own = threading.local()

    def tile(top: int, left: int) -> None:
        if not hasattr(own, "renderer"):
            own.renderer = renderer(rooms.room)
        work(own.renderer, top, left)

    corners = [(top, left) for top in range(0, shape[0], TILE) for left in range(0, shape[1], TILE)]
    for done in [pool.submit(tile, *corner) for corner in corners]:
        done.result()


def render_shell(
    level: Level, shell: Shell, busy: Blocks, lens: Lens, wanted: Blocks, rooms: Rooms, pool: Executor
) -> FloatArray:
    """A whole shell on its own cells: (h, w, 8) near colour and coverage, far colour and coverage.

    busy: blocks that views render. wanted: blocks that will be looked at; the others stay empty.
    """
    total = np.empty((*level.coc_px.shape, 8), np.float32)

    def tile(renderer: TileRenderer, top: int, left: int) -> None:
        here = blocks_of(top, left)
        renderer.plain(shell, busy[here] | (1 - wanted[here]), top, left)
        views = np.ascontiguousarray(busy[here] & wanted[here])
        if views.any():
            renderer.views(shell, views, top, left)
        part = total[top : top + TILE, left : left + TILE]
        part[:] = renderer.total[: part.shape[0], : part.shape[1]]

    for_tiles(level.coc_px.shape, lambda room: TileRenderer(level, lens, 8, room), tile, rooms, pool)
    return total
