"""Inner loops of border refinement: near or far, decided for every pixel close to a depth step.

Imported only by `refine`, because importing numba is slow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Map = npt.NDArray[np.float32]

COLOUR_STEP = 16  # squared sRGB distances (codes squared) per entry of the affinity table
_FLOOR = 0.05  # affinity of unrelated colours: bounds the influence of colour alone


@njit(nogil=True, cache=True)
def extremes(values: Map, radius: int) -> tuple[Map, Map]:
    """Minimum and maximum in the square window of that radius, (H, W) each; the window is cropped at the border."""
    height, width = values.shape
    low, high = np.empty_like(values), np.empty_like(values)
    for y in range(height):
        for x in range(width):
            least = values[y, x]
            most = least
            for u in range(max(0, x - radius), min(width, x + radius + 1)):
                least = min(least, values[y, u])
                most = max(most, values[y, u])
            low[y, x] = least
            high[y, x] = most
    lowest, highest = np.empty_like(values), np.empty_like(values)
    for y in range(height):
        first, last = max(0, y - radius), min(height, y + radius + 1)
        lowest[y] = low[first]
        highest[y] = high[first]
        for v in range(first + 1, last):
            for x in range(width):
                lowest[y, x] = min(lowest[y, x], low[v, x])
                highest[y, x] = max(highest[y, x], high[v, x])
    return lowest, highest


class StepMaps(NamedTuple):
    """Steps of a depth map, (h, w) maps of any size over the picture."""

    low: Map  # depth behind the step
    high: Map  # depth in front of it
    gate: Map  # how much of a step it is; 0 leaves the pixel unchanged


class Witnesses(NamedTuple):
    """How the pixels around decide on which side of a step a pixel lies."""

    affinity: Map  # over squared colour distance
    nearness: Map  # spatial weight by distance along one axis; its length gives the window
    stride: int
    prior: float
    matte: Map  # (h, w), 0..1, of any size over the picture; counts as far as it separates near evidence from far
    matte_weight: float


@njit(nogil=True, cache=True)
def snap_rows(
    out: Map,  # (H, W)
    first: int,
    last: int,
    depth: Map,  # (H, W)
    guide: npt.NDArray[np.uint8],  # (H, W, 3)
    steps: StepMaps,
    witnesses: Witnesses,
) -> None:
    """Computes rows first..last of `out`: depth with its steps aligned with changes of colour and matte."""
    low, high, gate = steps
    affinity, nearness, stride, prior, matte, matte_weight = witnesses
    height, width = depth.shape
    radius = nearness.size - 1
    for y in range(first, last):
        gy = min(gate.shape[0] - 1, y * gate.shape[0] // height)
        for x in range(width):
            gx = min(gate.shape[1] - 1, x * gate.shape[1] // width)
            out[y, x] = depth[y, x]
            if gate[gy, gx] <= 0:
                continue
            far_depth = low[gy, gx]
            scale = np.float32(1) / (high[gy, gx] - far_depth)
            red, green, blue = np.int32(guide[y, x, 0]), np.int32(guide[y, x, 1]), np.int32(guide[y, x, 2])
            weight = share = np.float32(0)
            near_weight = near_match = near_sum = near_matte = np.float32(0)
            far_weight = far_match = far_sum = far_matte = np.float32(0)
            for dy in range(-radius, radius + 1, stride):
                v = y + dy
                if v < 0 or v >= height:
                    continue
                mv = v * matte.shape[0] // height
                for dx in range(-radius, radius + 1, stride):
                    u = x + dx
                    if u < 0 or u >= width:
                        continue
                    place = nearness[abs(dy)] * nearness[abs(dx)]
                    value = depth[v, u]
                    level = min(np.float32(1), max(np.float32(0), (value - far_depth) * scale))
                    weight += place
                    share += place * level
                    if np.float32(0.3) < level < np.float32(0.7):
                        continue  # itself unsure: no witness
                    r = np.int32(guide[v, u, 0]) - red
                    g = np.int32(guide[v, u, 1]) - green
                    b = np.int32(guide[v, u, 2]) - blue
                    match = affinity[(r * r + g * g + b * b) // COLOUR_STEP]
                    if level > np.float32(0.5):
                        trust = place * min(np.float32(1), (level - np.float32(0.7)) * np.float32(5))
                        near_weight += trust
                        near_match += trust * match
                        near_sum += trust * match * value
                        near_matte += trust * matte[mv, u * matte.shape[1] // width]
                    else:
                        trust = place * min(np.float32(1), (np.float32(0.3) - level) * np.float32(5))
                        far_weight += trust
                        far_match += trust * match
                        far_sum += trust * match * value
                        far_matte += trust * matte[mv, u * matte.shape[1] // width]
            if near_weight < np.float32(0.02) * weight or far_weight < np.float32(0.02) * weight:
                continue
            near_likelihood = near_match / near_weight
            far_likelihood = far_match / far_weight
            evidence = prior * (2 * share / weight - 1) + math.log(near_likelihood / far_likelihood)
            told = near_matte / near_weight - far_matte / far_weight
            if told > np.float32(0):
                here = matte[y * matte.shape[0] // height, x * matte.shape[1] // width]
                evidence += matte_weight * told * (2 * here - 1)
            alpha = np.float32(1 / (1 + math.exp(-3 * evidence)))
            near_value = near_sum / near_match
            far_value = far_sum / far_match
            snapped = far_value + alpha * (near_value - far_value)
            out[y, x] += gate[gy, gx] * (snapped - depth[y, x])


def affinity_table(sigma: float) -> Map:
    """Affinity of two sRGB colours by squared distance: a Gaussian of `sigma` codes above a small floor."""
    squared = np.arange(3 * 255 * 255 // COLOUR_STEP + 1, dtype=np.float64) * COLOUR_STEP
    return (_FLOOR + (1 - _FLOOR) * np.exp(-squared / (2 * sigma * sigma))).astype(np.float32)
