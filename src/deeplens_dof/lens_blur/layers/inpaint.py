"""Inpainting of the occluded background: farther surfaces are propagated behind nearer ones, unless they are known."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from deeplens_dof.lens_blur.layers.layers import NOTHING, STEP_PX, Layers
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.types import Array, Image, Index, Mask, Plane

MARGIN_CELLS = np.float32(3)  # by which a surface extends farther behind another one than the lens can look
SMOOTHING_ROUNDS = 6


class Occluded(NamedTuple):
    """The surface behind the visible one, and the second one, behind that. CoC is NOTHING where there is none."""

    factor: int  # photo pixels along a cell's side
    colour: Image  # (h, w, 3)
    coc: Plane  # (h, w), photo pixels
    second_colour: Image  # (h, w, 3)
    second_coc: Plane  # (h, w), photo pixels

    def at_full_size(self, height: int, width: int) -> Occluded:
        """The same surfaces, repeated for every pixel of the photo."""
        enlarged = (
            np.repeat(np.repeat(part, self.factor, 0), self.factor, 1)[:height, :width]
            for part in (self.colour, self.coc, self.second_colour, self.second_coc)
        )
        return Occluded(1, *map(np.ascontiguousarray, enlarged))

    def with_known(self, photo: Layers) -> Occluded:
        """The same surfaces, replaced by the backs of `photo` (layers at full size) wherever those fill the cell."""
        known = photo.back_coc != NOTHING
        count = _summed(known.astype(np.float32), self.factor)
        filled = count > 0.25 * self.factor**2
        share = 1 / np.maximum(count, np.float32(1))
        coc = _summed(np.where(known, photo.back_coc, np.float32(0)), self.factor) * share
        colour = _summed(photo.back * known[..., None], self.factor) * share[..., None]
        return self._replace(
            coc=np.where(filled, coc, self.coc), colour=np.where(filled[..., None], colour, self.colour)
        )


def _summed(values: Array, factor: int) -> Array:
    """Sums of factor x factor pixels; pixels beyond the border count as 0."""
    rows, columns = (-side % factor for side in values.shape[:2])
    padded = np.pad(values, ((0, rows), (0, columns), *((0, 0),) * (values.ndim - 2)))
    cells = padded.reshape(padded.shape[0] // factor, factor, -1, factor, *values.shape[2:])
    return np.asarray(cells.sum((1, 3)))


def inpaint(layers: Layers, pool: Executor) -> Occluded:
    """The occluded surfaces of `layers`, cell by cell: propagated from the nearest farther surfaces, then smoothed."""
    has_back = (layers.back_coc != NOTHING) & (layers.alpha <= 0.85)
    source_coc = np.where(has_back, layers.back_coc, layers.front_coc)
    seen_coc = np.where((layers.alpha >= 0.5) | ~has_back, layers.front_coc, layers.back_coc)
    first, second = (np.empty(source_coc.shape, np.int32) for _ in range(2))
    factor = np.float32(layers.factor)
    _nearest_farther(seen_coc, source_coc, factor, first)
    visible_behind = pool.submit(_propagated, layers, has_back, source_coc, first)
    _nearest_second(seen_coc, source_coc, first, factor, second)
    second_behind = _propagated(layers, has_back, source_coc, second)
    return Occluded(layers.factor, *visible_behind.result(), *second_behind)


def _propagated(layers: Layers, has_back: Mask, source_coc: Plane, source: Index) -> tuple[Image, Plane]:
    """Smoothed colour and CoC of the cells named in `source` (h, w), -1 for none."""
    colour, coc = np.zeros_like(layers.front), np.empty(source.shape, np.float32)
    _copy_sources(source, source_coc, has_back, layers, colour, coc)
    _smooth(source, colour, coc)
    return colour, coc


@compiled(fastmath=True)
def _nearest_farther(
    seen_coc: Plane,  # (h, w), of the surface that occludes
    source_coc: Plane,  # (h, w), of the farthest surface visible in a cell
    factor: np.float32,
    source: Index,  # (h, w), written
) -> None:
    """source: index of the nearest cell whose surface extends behind this one, or -1.

    A surface extends behind another one as far as the lens can look behind it: the difference of their circles of
    confusion, and MARGIN_CELLS. Two rounds of four-neighbour sweeps (Danielsson 1980).
    """
    height, width = seen_coc.shape
    for y in range(height):
        for x in range(width):
            source[y, x] = y * width + x if seen_coc[y, x] - source_coc[y, x] > STEP_PX else -1
    for y in range(height):  # a farther neighbour is a source even where it is not a mixture itself
        for x in range(width):
            lowest = seen_coc[y, x] - STEP_PX
            if source[y, x] < 0:
                for k in range(4):
                    yy, xx = (y, x + 2 * k - 1) if k < 2 else (y + 2 * k - 5, x)
                    if 0 <= yy < height and 0 <= xx < width and source_coc[yy, xx] < lowest:
                        lowest = source_coc[yy, xx]
                        source[y, x] = yy * width + xx
    for sweep in range(4):
        s = 1 if sweep % 2 == 0 else -1
        for row in range(height):
            y = row if s == 1 else height - 1 - row
            for column in range(width):
                x = column if s == 1 else width - 1 - column
                best_index = np.int64(source[y, x])
                if best_index == y * width + x:
                    continue
                here = seen_coc[y, x]
                best = 1e18
                if best_index >= 0:
                    sy, sx = best_index // width, best_index % width
                    best = float((sy - y) ** 2 + (sx - x) ** 2)
                for k in range(4):
                    yy, xx = (y, x - s) if k == 0 else (y - s, x + (k - 2) * s)
                    if yy < 0 or xx < 0 or yy >= height or xx >= width:
                        continue
                    candidate = np.int64(source[yy, xx])
                    if candidate < 0:
                        continue
                    sy, sx = candidate // width, candidate % width
                    gap = here - source_coc[sy, sx]
                    if gap <= STEP_PX:
                        continue
                    distance = float((sy - y) ** 2 + (sx - x) ** 2)
                    if distance < best and distance <= (gap / factor + MARGIN_CELLS) ** 2:
                        best, best_index = distance, candidate
                source[y, x] = best_index


@compiled(fastmath=True)
def _nearest_second(
    seen_coc: Plane,  # (h, w), as in `_nearest_farther`
    source_coc: Plane,  # (h, w)
    first: Index,  # (h, w), result of `_nearest_farther`
    factor: np.float32,
    source: Index,  # (h, w), written
) -> None:
    """source: as in `_nearest_farther`, for the surface behind the one found in `first`, or -1.

    Behind a leaf lies another leaf, and behind both the wall: where the lens looks past both leaves, the wall must be
    there. It is searched among the sources of the neighbouring cells, first and second.
    """
    height, width = seen_coc.shape
    source[:] = -1
    for sweep in range(4):
        s = 1 if sweep % 2 == 0 else -1
        for row in range(height):
            y = row if s == 1 else height - 1 - row
            for column in range(width):
                x = column if s == 1 else width - 1 - column
                if first[y, x] < 0:
                    continue
                best_index = np.int64(source[y, x])
                nearer = source_coc[first[y, x] // width, first[y, x] % width]
                best = 1e18
                if best_index >= 0:
                    best = float((best_index // width - y) ** 2 + (best_index % width - x) ** 2)
                for k in range(4):
                    yy, xx = (y, x - s) if k == 0 else (y - s, x + (k - 2) * s)
                    if yy < 0 or xx < 0 or yy >= height or xx >= width:
                        continue
                    for which in range(2):
                        candidate = np.int64(first[yy, xx] if which == 0 else source[yy, xx])
                        if candidate < 0:
                            continue
                        sy, sx = candidate // width, candidate % width
                        if nearer - source_coc[sy, sx] <= STEP_PX:
                            continue
                        distance = float((sy - y) ** 2 + (sx - x) ** 2)
                        gap = seen_coc[y, x] - source_coc[sy, sx]
                        if distance < best and distance <= (gap / factor + MARGIN_CELLS) ** 2:
                            best, best_index = distance, candidate
                source[y, x] = best_index


@compiled()
def _copy_sources(
    source: Index,  # (h, w)
    source_coc: Plane,  # (h, w)
    has_back: Mask,  # (h, w)
    layers: Layers,
    colour: Image,  # (h, w, 3), written
    coc: Plane,  # (h, w), written
) -> None:
    """Colour and CoC of the source of each cell; CoC is NOTHING where there is none."""
    front, back = layers.front, layers.back
    height, width = source.shape
    for y in range(height):
        for x in range(width):
            at = np.int64(source[y, x])
            if at < 0:
                coc[y, x] = NOTHING
                continue
            sy, sx = at // width, at % width
            coc[y, x] = source_coc[sy, sx]
            for c in range(3):
                colour[y, x, c] = back[sy, sx, c] if has_back[sy, sx] else front[sy, sx, c]


@compiled(fastmath=True)
def _smooth(source: Index, colour: Image, coc: Plane) -> None:
    """Smooths colour (h, w, 3) and CoC (h, w) of the propagated cells in place, along surfaces of about one CoC."""
    height, width = coc.shape
    propagated = np.empty(height * width, np.int64)
    n = 0
    for y in range(height):
        for x in range(width):
            if source[y, x] >= 0 and source[y, x] != y * width + x:
                propagated[n] = y * width + x
                n += 1
    for round_ in range(SMOOTHING_ROUNDS):
        for k in range(n):
            at = propagated[k if round_ % 2 == 0 else n - 1 - k]
            y, x = at // width, at % width
            weight, c0, c1, c2, depth = 0.0, 0.0, 0.0, 0.0, 0.0
            for yy in range(max(y - 1, 0), min(y + 2, height)):
                for xx in range(max(x - 1, 0), min(x + 2, width)):
                    if source[yy, xx] < 0 or abs(coc[yy, xx] - coc[y, x]) > STEP_PX:
                        continue
                    weight += 1
                    c0 += colour[yy, xx, 0]
                    c1 += colour[yy, xx, 1]
                    c2 += colour[yy, xx, 2]
                    depth += coc[yy, xx]
            if weight > 0:
                colour[y, x, 0], colour[y, x, 1], colour[y, x, 2] = c0 / weight, c1 / weight, c2 / weight
                coc[y, x] = depth / weight
