"""Borders: where a near surface ends before a farther one, which pixels lie around, and the two surfaces that meet there.

Every pixel within REACH_PX of a depth step gets the CoC of the nearer and of the farther surface at the nearest step.
`first_guess` unmixes the pixels on the step as the optical renderer does, from the few pixels nearby, and propagates the
result to the pixels around. The network `lens_blur` improves on that guess: alpha of the near surface in each pixel, its
own colour, and the colour behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.lens_blur.layers.unmix import depth_steps, unmix_pixel
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Image, Index, Marks, Mask, Plane

REACH_PX = 24.0  # distance from a step up to which pixels belong to its border
CLIMB_PX = 10  # pixels over which a soft step may rise
# A pixel keeps its own CoC beyond this share of the way from the other surface to its own.
OWN_SHARE = 0.8
COVERED = 0.99  # alpha from which a pixel shows the near surface alone
OPEN = 0.01  # alpha up to which a pixel shows the far surface alone


@dataclass(frozen=True, slots=True)
class Borders:
    """The borders of a photo, per pixel. Pixels are named by row * W + column, -1 where no border is in reach."""

    near_px: Plane  # (H, W), CoC of the near surface
    far_px: Plane  # (H, W), CoC of the far surface
    near: Index  # (H, W), a pixel that shows the near surface
    far: Index  # (H, W), a pixel that shows the far surface
    step: Index  # (H, W), the nearest pixel on a step
    distance: Plane  # (H, W), px to the step, positive on the near side

    @property
    def within(self) -> Mask:
        """Where a border is in reach, (H, W)."""
        return np.asarray(self.near >= 0)


def find_borders(coc_px: Plane) -> Borders:
    """The borders in a map of signed CoC radii, (H, W) px."""
    shape = coc_px.shape
    near, far, step = (np.full(shape, -1, np.int32) for _ in range(3))
    distance = np.full(shape, np.float32(1e6))
    _seed(coc_px, near, far, step, distance)
    _spread(step, distance)
    beyond = distance > REACH_PX
    step[beyond] = -1
    near, far = (np.where(beyond, np.int32(-1), at.reshape(-1)[step]) for at in (near, far))
    flat = coc_px.reshape(-1)
    near_px = np.where(beyond, coc_px, flat[near])
    far_px = np.where(beyond, coc_px, flat[far])
    side = np.where(2 * coc_px >= near_px + far_px, np.float32(1), np.float32(-1))
    return Borders(near_px, far_px, near, far, step, side * np.where(beyond, np.float32(REACH_PX), distance))


def first_guess(rgb: Image, coc_px: Plane, borders: Borders) -> tuple[Plane, Image, Image]:
    """The two surfaces at every border, as the optical renderer sees them.

    A pixel on a step is a mixture of its two sides. The pixels around show one side, and take the other from the nearest
    step. Where no border is in reach, alpha is 1 and both colours are the pixel's.

    Args:
        rgb: (H, W, 3) linear light.
        coc_px: (H, W) signed CoC radii in px.
        borders: `find_borders(coc_px)`.

    Returns:
        Alpha of the near surface (H, W), its colour (H, W, 3), and the colour behind it (H, W, 3).
    """
    alpha, front, back = np.empty(coc_px.shape, np.float32), np.empty_like(rgb), np.empty_like(rgb)
    _guess(rgb, coc_px, depth_steps(coc_px), borders.step, borders.distance, alpha, front, back)
    return alpha, front, back


def to_layers(rgb: Image, coc_px: Plane, borders: Borders, alpha: Plane, front: Image, back: Image) -> Layers:
    """The photo as layers at full size.

    Args:
        rgb: (H, W, 3) linear light.
        coc_px: (H, W) signed CoC radii in px.
        borders: `find_borders(coc_px)`.
        alpha: (H, W) share of the near surface, as the network or the first guess gives it.
        front: (H, W, 3) colour of the near surface.
        back: (H, W, 3) colour behind it.
    """
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
        np.where(mixed | covering, far_px, NOTHING),
    )
    for part in layers.arrays:
        assert part.dtype == np.float32
    return layers


@compiled()
def _climb(coc: Plane, y: int, x: int, up: int) -> int:
    """The pixel at the top (up = 1) or at the bottom (up = -1) of the slope on which (y, x) lies."""
    height, width = coc.shape
    for _ in range(CLIMB_PX):
        best, by, bx = coc[y, x], y, x
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                yy, xx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                if up * (coc[yy, xx] - best) > 0:
                    best, by, bx = coc[yy, xx], yy, xx
        if abs(best - coc[y, x]) < np.float32(0.5) * STEP_PX:
            break
        y, x = by, bx
    return int(y * width + x)


@compiled()
def _seed(coc: Plane, near: Index, far: Index, step: Index, distance: Plane) -> None:
    """Writes both surfaces of every pixel on a step."""
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
            if change <= STEP_PX:
                continue
            near[y, x] = _climb(coc, y, x, 1)
            far[y, x] = _climb(coc, y, x, -1)
            step[y, x] = y * width + x
            distance[y, x] = 0.5


@compiled()
def _spread(step: Index, distance: Plane) -> None:
    """Propagates the nearest seed to every pixel, by steps of 1 and sqrt(2) (Borgefors 1986)."""
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


@compiled()
def _guess(
    rgb: Image,  # (H, W, 3)
    coc: Plane,  # (H, W)
    steps: Marks,  # (H, W)
    step: Index,  # (H, W), of `Borders`
    distance: Plane,  # (H, W), of `Borders`
    alpha: Plane,  # (H, W), written
    front: Image,  # (H, W, 3), written
    back: Image,  # (H, W, 3), written
) -> None:
    """See `first_guess`."""
    height, width = coc.shape
    for y in range(height):
        for x in range(width):
            alpha[y, x] = 1
            front[y, x], back[y, x] = rgb[y, x], rgb[y, x]
            if step[y, x] == y * width + x:
                share, _, behind = unmix_pixel(rgb, coc, steps, y, x, front[y, x], back[y, x])
                alpha[y, x] = share
                if behind == NOTHING:
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
