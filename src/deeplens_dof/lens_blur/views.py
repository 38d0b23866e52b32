"""Depth of field as the mean of what each point of the lens sees, shell by shell.

From a lens point `u` a surface with signed CoC `c` is seen displaced by `c * u`; of several surfaces at one place the
nearest is seen. The mean over the lens is the picture. A shell is what has a CoC between two radii; it is rendered at
the resolution that its smallest CoC allows, and the shells are put round each other from the sharpest out.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import kernels, spans, views_kernels
from .aperture import Aperture, alpha_thresholds
from .complete import Hidden
from .layers import ALPHA_PRIOR, STEP_PX, FloatArray, Layers, depth_steps

TILE = 96  # cells a side; a constant of the method, so that the result depends on no setting of the machine
BLOCK = 16  # cells a side that are rendered in one way: by views where a depth step is within reach, else by spans
MOST_POINTS, FEWEST_POINTS = 384, 96
_SPREAD = 4 * (
    1 / 12 + 1 / 4
)  # 4 x variance (cells^2) that reduced cells and their interpolation add to a blur


@dataclass(frozen=True, slots=True)
class Shell:
    """CoC radii inner..outer (photo px), rendered at 1/factor of the size."""

    factor: int
    inner: float
    outer: float

    def constants(self) -> tuple[float, ...]:
        shrink = _SPREAD if self.factor > 1 else 0.0
        return (float(self.factor), self.inner, min(self.outer, 1e8), shrink)

    def reach(self, largest_px: float) -> int:
        """Cells from which light can come."""
        return math.ceil(min(largest_px, self.outer) / self.factor) + 2


def lens_points_for(radius_cells: float) -> int:
    """Lens points for a blur of that radius: one for every 1.4 cells of its area, in steps of 32, within limits."""
    wanted = 0.7 * math.pi * radius_cells**2
    return int(np.clip(32 * math.ceil(wanted / 32), FEWEST_POINTS, MOST_POINTS))


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the photo, ready to be rendered: its layers, what they hide, where depth steps matter.

    layers is None at full size, where pixels are taken apart as they are met.
    """

    colour: FloatArray
    coc_px: FloatArray
    steps: npt.NDArray[np.uint8]
    hidden: Hidden
    layers: Layers | None = None

    @classmethod
    def of_layers(cls, layers: Layers, hidden: Hidden) -> Level:
        steps = depth_steps(layers.front_coc)
        steps[layers.back_coc != kernels.NOTHING] = 1
        return cls(layers.front, layers.front_coc, steps, hidden, layers)

    def busy_blocks(self, shell: Shell) -> npt.NDArray[np.uint8]:
        """1 for the blocks in which light of this shell meets a depth step, (rows, columns) of whole tiles."""
        tiles_down, tiles_across = (-(-side // TILE) for side in self.coc_px.shape)
        busy = np.zeros((tiles_down * TILE // BLOCK, tiles_across * TILE // BLOCK), np.uint8)
        spans.mark_busy(self.steps, self.coc_px, self.hidden.coc, shell.constants(), 2.0, BLOCK, busy)
        return busy


class TileRenderer:
    """Renders tiles of one shell, with room for the fragments of a tile. One for each thread."""

    def __init__(
        self, level: Level, shell: Shell, busy: npt.NDArray[np.uint8], aperture: Aperture, largest_px: float
    ) -> None:
        self.level, self.shell, self.busy, self.aperture = level, shell, busy, aperture
        self.reach = shell.reach(largest_px)
        side = TILE + 2 * self.reach
        self.sums = np.empty((side, side + 1, 3), np.float32)
        self.total = np.empty((TILE, TILE, 8), np.float32)
        self.place, self.colour = np.empty((0, 6), np.float32), np.empty((0, 3), np.float32)
        self.key, self.side = np.empty(0, np.int32), np.empty(0, np.int32)

    def tile(self, top: int, left: int) -> FloatArray:
        """(TILE, TILE, 8) near colour and coverage, far colour and coverage, at cell (top, left). Overwritten by the
        next call."""
        level, shell = self.level, self.shell
        busy = self.busy[top // BLOCK : (top + TILE) // BLOCK, left // BLOCK : (left + TILE) // BLOCK]
        self.total[:] = 0
        if not busy.all():
            size = np.abs(level.coc_px[top : top + TILE, left : left + TILE])
            largest, smallest = float(size.max()), float(size.min())
            if smallest < shell.outer and largest >= shell.inner:
                side = TILE + 2 * self.reach
                if largest > 0.5 * shell.factor:
                    spans.running_sums(
                        level.colour, top - self.reach, left - self.reach, side, side, self.sums
                    )
                spans.blur_plain(
                    level.colour, level.coc_px, busy, BLOCK, self.sums, shell.constants(), top, left, TILE, self.reach,
                    self.total,
                )  # fmt: skip
        if busy.any():
            self._views(busy, top, left)
        return self.total

    def _views(self, busy: npt.NDArray[np.uint8], top: int, left: int) -> None:
        level, room = self.level, 2 * (TILE + 2 * self.reach) ** 2
        if len(self.key) < room:
            self.place, self.colour = np.empty((room, 6), np.float32), np.empty((room, 3), np.float32)
            self.key, self.side = np.empty(room, np.int32), np.empty(room, np.int32)
        where = (self.shell.constants(), busy, np.float32(STEP_PX))
        fragments = (self.place, self.colour, self.key, self.side)
        if level.layers is None:
            n = views_kernels.pixel_fragments(
                level.colour, level.coc_px, level.steps, level.hidden.colour, level.hidden.coc, *where,
                np.float32(ALPHA_PRIOR), top, left, TILE, self.reach, *fragments,
            )  # fmt: skip
        else:
            n = views_kernels.layer_fragments(
                *level.layers.arrays, level.hidden.colour, level.hidden.coc, *where, top, left, TILE, self.reach,
                *fragments,
            )  # fmt: skip
        if n == 0:
            return
        count = lens_points_for(float(np.abs(self.place[:n, 2]).max()))
        views_kernels.mean_view(
            n, *fragments, int(self.side[:n].min()) == 0, self.aperture.points(count), alpha_thresholds(count), TILE,
            busy, self.total,
        )  # fmt: skip


def render_shell(
    level: Level, shell: Shell, aperture: Aperture, largest_px: float, pool: Executor
) -> FloatArray:
    """A whole shell on its own cells: (h, w, 8) near colour and coverage, far colour and coverage."""
    height, width = level.coc_px.shape
    total = np.empty((height, width, 8), np.float32)
    busy = level.busy_blocks(shell)

    def row(top: int) -> None:
        renderer = TileRenderer(level, shell, busy, aperture, largest_px)
        for left in range(0, width, TILE):
            part = total[top : top + TILE, left : left + TILE]
            part[:] = renderer.tile(top, left)[: part.shape[0], : part.shape[1]]

    for done in [pool.submit(row, top) for top in range(0, height, TILE)]:
        done.result()
    return total
