"""Where a near surface ends before a farther one: which pixels lie round such a border, and the two surfaces that meet there.

Every pixel within REACH_PX of a depth step is told the CoC of the nearer and of the farther surface of the nearest step.
`first_guess` takes the pixels on the step apart as the optical renderer does, from the few pixels nearby, and carries on what
it finds. The network `lens_blur` is asked to improve on that: how much of each pixel the near surface covers, what its own
colour is, and what lies behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from deeplens_dof.lens_blur.layers import kernels
from deeplens_dof.lens_blur.layers.layers import ALPHA_PRIOR, STEP_PX, FloatArray, Layers, depth_steps

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
    and step: the nearest one on a step; -1 where no border is in reach. distance (H, W): to the step, px, positive on the
    near side."""

    near_px: FloatArray
    far_px: FloatArray
    near: Index
    far: Index
    step: Index
    distance: FloatArray

    @property
    def within(self) -> npt.NDArray[np.bool_]:
        """Where a border is in reach, (H, W)."""
        return np.asarray(self.near >= 0)


def find_borders(coc_px: FloatArray) -> Borders:
    """coc_px: (H, W) signed radii in px."""
    shape = coc_px.shape
    near, far, step = (np.full(shape, -1, np.int32) for _ in range(3))
    distance = np.full(shape, np.float32(1e6))
    _seed(coc_px, np.float32(STEP_PX), CLIMB_PX, near, far, step, distance)
    _spread(step, distance)
    beyond = distance > REACH_PX
    step[beyond] = -1
    near, far = (np.where(beyond, np.int32(-1), at.reshape(-1)[step]) for at in (near, far))
    flat = coc_px.reshape(-1)
    near_px = np.where(beyond, coc_px, flat[near])
    far_px = np.where(beyond, coc_px, flat[far])
    side = np.where(2 * coc_px >= near_px + far_px, np.float32(1), np.float32(-1))
    return Borders(near_px, far_px, near, far, step, side * np.where(beyond, np.float32(REACH_PX), distance))


def first_guess(
    rgb: FloatArray, coc_px: FloatArray, borders: Borders
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Alpha of the near surface (H, W), its colour and that behind it (H, W, 3), as the optical renderer sees them.

    A pixel on a step is a mixture of the two sides; those round it show one of them, and have from the nearest step what the
    other looks like. Where no border is in reach alpha is 1 and both colours are the pixel's.
    """
    alpha, front, back = np.empty(coc_px.shape, np.float32), np.empty_like(rgb), np.empty_like(rgb)
    numbers = np.float32(STEP_PX), np.float32(ALPHA_PRIOR)
    _guess(rgb, coc_px, depth_steps(coc_px), borders.step, borders.distance, *numbers, alpha, front, back)
    return alpha, front, back


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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def _seed(
    coc: FloatArray,
    step_px: np.float32,
    most: int,
    near: Index,
    far: Index,
    step: Index,
    distance: FloatArray,
) -> None:
    """Both surfaces of every pixel on a step."""
    height, width = coc.shape
    for y in range(height):
        for x in range(width):
            here = coc[y, x]
            change = np.float32(0)
            if x + 1 < width:
                change = max(change, abs(coc[y, x + 1] - here))
            if x > 0:
                change = max(change, abs(coc[y, x - 1] - here))
            if y + 1 < height:
                change = max(change, abs(coc[y + 1, x] - here))
            if y > 0:
                change = max(change, abs(coc[y - 1, x] - here))
            if change <= step_px:
                continue
            near[y, x] = _climb(coc, y, x, 1, np.float32(0.5) * step_px, most)
            far[y, x] = _climb(coc, y, x, -1, np.float32(0.5) * step_px, most)
            step[y, x] = y * width + x
            distance[y, x] = 0.5


@njit(nogil=True, cache=True)
def _spread(step: Index, distance: FloatArray) -> None:
    """Carries the seeds outwards, by steps of 1 and sqrt(2) (Borgefors 1986), the nearest first."""
    height, width = step.shape
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
                    if yy < 0 or xx < 0 or yy >= height or xx >= width or step[yy, xx] < 0:
                        continue
                    if distance[yy, xx] + way < distance[y, x]:
                        distance[y, x] = distance[yy, xx] + way
                        step[y, x] = step[yy, xx]


@njit(nogil=True, cache=True)
def _guess(
    rgb: FloatArray, coc: FloatArray, steps: npt.NDArray[np.uint8], step: Index, distance: FloatArray, step_px: np.float32,
    prior: np.float32, alpha: FloatArray, front: FloatArray, back: FloatArray,
) -> None:  # fmt: skip
    height, width = coc.shape
    for y in range(height):
        for x in range(width):
            alpha[y, x] = 1
            front[y, x], back[y, x] = rgb[y, x], rgb[y, x]
            if step[y, x] == y * width + x:
                share, _, behind = kernels.unmix_pixel(
                    rgb, coc, steps, y, x, step_px, prior, front[y, x], back[y, x]
                )
                alpha[y, x] = share
                if behind == kernels.NOTHING:
                    alpha[y, x] = 1 if distance[y, x] > 0 else 0
                    front[y, x], back[y, x] = rgb[y, x], rgb[y, x]
    for y in range(height):
        for x in range(width):
            at = step[y, x]
            if at < 0 or at == y * width + x:
                continue
            if distance[y, x] > 0:
                back[y, x] = back[at // width, at % width]
            else:
                alpha[y, x] = 0
                front[y, x] = front[at // width, at % width]
