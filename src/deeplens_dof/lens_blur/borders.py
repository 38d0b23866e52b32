"""Where a near surface ends before a farther one: which pixels lie round such a border, and the two surfaces that meet there.

Every pixel within REACH_PX of a depth step is told the CoC of the nearer and of the farther surface of the nearest step, and
where to see the colour of either. That is what the network `lens_blur` is asked about: how much of the pixel the near
surface covers, what its own colour is, and what lies behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from . import kernels
from .layers import STEP_PX, FloatArray, Layers

REACH_PX = 24.0  # how far from a step a border is looked at
CLIMB_PX = 10  # pixels over which a soft step may rise
OWN_SHARE = (
    0.8  # of the way from one surface to the other from which a pixel's own CoC is that of the surface
)
COVERED, OPEN = (
    0.99,
    0.01,
)  # alpha from which a pixel is the near surface alone, up to which the far one alone

Index = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Borders:
    """near_px, far_px (H, W): CoC of the two surfaces. near, far (H, W): pixel, row * W + column, that shows each of them,
    -1 where no border is in reach. distance (H, W): to the step, px, positive on the near side."""

    near_px: FloatArray
    far_px: FloatArray
    near: Index
    far: Index
    distance: FloatArray

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """Where a border is in reach, (H, W)."""
        return np.asarray(self.near >= 0)

    def colours(self, light: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The colours that the two surfaces show nearby, (H, W, 3) each; the pixel's own where no border is in reach."""
        flat = light.reshape(-1, 3)
        own = np.arange(len(flat), dtype=np.int32).reshape(self.near.shape)
        return tuple(flat[np.where(self.within, side, own)] for side in (self.near, self.far))  # type: ignore[return-value]


def find_borders(coc_px: FloatArray) -> Borders:
    """coc_px: (H, W) signed radii in px."""
    shape = coc_px.shape
    near, far = (np.full(shape, -1, np.int32) for _ in range(2))
    distance = np.full(shape, np.float32(1e6))
    _seed(coc_px, np.float32(STEP_PX), CLIMB_PX, near, far, distance)
    _spread(near, far, distance)
    beyond = distance > REACH_PX
    near[beyond], far[beyond] = -1, -1
    flat = coc_px.reshape(-1)
    near_px = np.where(beyond, coc_px, flat[near])
    far_px = np.where(beyond, coc_px, flat[far])
    side = np.where(2 * coc_px >= near_px + far_px, np.float32(1), np.float32(-1))
    return Borders(near_px, far_px, near, far, side * np.where(beyond, np.float32(REACH_PX), distance))


def taken_apart(
    rgb: FloatArray,
    coc_px: FloatArray,
    borders: Borders,
    alpha: FloatArray,
    front: FloatArray,
    back: FloatArray,
) -> Layers:
    """The photo at full size as layers. alpha (H, W) of the near surface, front and back (H, W, 3) as the network says."""
    within = borders.within
    gap = np.maximum(borders.near_px - borders.far_px, np.float32(1e-6))
    share = (coc_px - borders.far_px) / gap
    near_px = np.where(share > OWN_SHARE, coc_px, borders.near_px)
    far_px = np.where(share < 1 - OWN_SHARE, coc_px, borders.far_px)
    mixed = within & (alpha > OPEN) & (alpha < COVERED)
    covering = within & (alpha >= COVERED)
    layers = Layers(
        1,
        np.where(mixed[..., None], front, rgb),
        np.where(mixed | covering, near_px, np.where(within, far_px, coc_px)),
        np.where(mixed, alpha, np.float32(1)),
        np.where((mixed | covering)[..., None], back, np.float32(0)),
        np.where(mixed | covering, far_px, kernels.NOTHING),
    )
    for part in layers.arrays:
        assert part.dtype == np.float32
    return layers


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _climb(coc: FloatArray, y: int, x: int, up: int, least: np.float32, most: int) -> int:
    """The pixel at the top (up 1) or bottom (-1) of the slope on which (y, x) lies."""
    height, width = coc.shape
    for _ in range(most):
        best, by, bx = coc[y, x], y, x
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                yy, xx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                if up * (coc[yy, xx] - best) > 0:
                    best, by, bx = coc[yy, xx], yy, xx
        if abs(best - coc[y, x]) < least:
            break
        y, x = by, bx
    return int(y * width + x)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _seed(
    coc: FloatArray, step_px: np.float32, most: int, near: Index, far: Index, distance: FloatArray
) -> None:
    """Both surfaces of every pixel on a step."""
    height, width = coc.shape
    for y in range(height):
        for x in range(width):
            here = coc[y, x]
            step = np.float32(0)
            if x + 1 < width:
                step = max(step, abs(coc[y, x + 1] - here))
            if x > 0:
                step = max(step, abs(coc[y, x - 1] - here))
            if y + 1 < height:
                step = max(step, abs(coc[y + 1, x] - here))
            if y > 0:
                step = max(step, abs(coc[y - 1, x] - here))
            if step <= step_px:
                continue
            near[y, x] = _climb(coc, y, x, 1, np.float32(0.5) * step_px, most)
            far[y, x] = _climb(coc, y, x, -1, np.float32(0.5) * step_px, most)
            distance[y, x] = 0.5


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _spread(near: Index, far: Index, distance: FloatArray) -> None:
    """Carries the seeds outwards, by steps of 1 and sqrt(2) (Borgefors 1986), the nearest first."""
    height, width = near.shape
    diagonal = np.float32(np.sqrt(2))
    for backwards in range(2):
        for i in range(height):
            y = height - 1 - i if backwards else i
            v = 1 if backwards else -1
            for k in range(width):
                x = width - 1 - k if backwards else k
                for n in range(4):
                    if n == 0:
                        yy, xx, way = y, x + v, np.float32(1)
                    else:
                        yy, xx = y + v, x + n - 2
                        way = np.float32(1) if n == 2 else diagonal
                    if yy < 0 or xx < 0 or yy >= height or xx >= width or near[yy, xx] < 0:
                        continue
                    if distance[yy, xx] + way < distance[y, x]:
                        distance[y, x] = distance[yy, xx] + way
                        near[y, x], far[y, x] = near[yy, xx], far[yy, xx]
