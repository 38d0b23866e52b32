"""Points that represent any shape, each an equal amount of light, as evenly as possible.

A depth edge sweeps over the lens as a straight line, so every line should divide the points as it divides the light. The
points are moved until, projected on every direction, they lie at the quantiles of the light (sliced optimal transport
sampling, Paulin et al. 2020), starting from equal parts along a Hilbert curve. It is deterministic.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from deeplens_dof.types import Array64, Mask

_DIRECTIONS, _ROUNDS, _BINS = 48, 40, 1024
_ORDER = 8  # of the Hilbert curve: 256 x 256 cells
CELLS = 1 << _ORDER  # a side of the grid of light over [-1, 1]^2


def cell_centres() -> tuple[Array64, Array64]:
    """x (1, CELLS) and y (CELLS, 1) of the cells of the grid."""
    along = ((np.arange(CELLS) + 0.5) * (2 / CELLS) - 1).astype(np.float64)
    return along[None, :], along[:, None]


def even_points(light: Array64, count: int) -> Array64:
    """Points of equal light, whose mean is the centre of the light.

    They follow a Hilbert curve, so that neighbours in the list are neighbours on the lens: any even sequence over the
    index is even over every part of the lens.

    Args:
        light: (CELLS, CELLS) over [-1, 1]^2, rows from the top.
        count: of points.

    Returns:
        (count, 2) as (x, y).
    """
    rows, columns = np.nonzero(light > 0)
    weight = light[rows, columns] / light.sum()
    cells = ((np.stack([columns, rows], 1) + 0.5) * (2 / CELLS) - 1).astype(np.float64)
    points = _equal_parts(cells, weight, count, hilbert_index(columns, rows))
    shaken = np.arange(1, count + 1)[:, None] * (0.7548776662466927, 0.5698402909980532) % 1 - 0.5
    # Shaken, because a mirrored shape would have points in mirrored pairs.
    points += shaken * math.sqrt((light > 0).mean() * 4 / count)
    angles = (np.arange(_DIRECTIONS) + 0.5) * math.pi / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    goals = np.stack([_quantiles(cells @ direction, weight, count) for direction in directions])
    for _ in range(_ROUNDS):
        projected = directions @ points.T
        order = np.argsort(projected, axis=1, kind="stable")
        moves = np.empty_like(projected)
        np.put_along_axis(moves, order, goals - np.take_along_axis(projected, order, 1), 1)
        points = points + 1.5 * (moves.T @ directions) / _DIRECTIONS
    points = _inside(points, light > 0, cells)
    points = np.clip(points - points.mean(0) + weight @ cells, -1, 1)
    at = np.clip(((points + 1) * (CELLS / 2)).astype(np.int64), 0, CELLS - 1)
    ordered: Array64 = points[np.argsort(hilbert_index(at[:, 0], at[:, 1]), kind="stable")]
    return ordered


def hilbert_index(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Position of the cells (x, y) of the grid along its Hilbert curve."""
    x, y = x.astype(np.int64), y.astype(np.int64)
    index = np.zeros_like(x)
    for level in reversed(range(_ORDER)):
        side = 1 << level
        right, below = (x & side) > 0, (y & side) > 0
        index += side * side * ((3 * right) ^ below)
        turned = ~below
        flipped = turned & right
        x, y = np.where(flipped, CELLS - 1 - x, x), np.where(flipped, CELLS - 1 - y, y)
        x, y = np.where(turned, y, x), np.where(turned, x, y)
    return index


def _equal_parts(cells: Array64, weight: Array64, count: int, index: npt.NDArray[np.int64]) -> Array64:
    """Centres of `count` parts of equal light along the curve."""
    order = np.argsort(index, kind="stable")
    cells, weight = cells[order], weight[order]
    along = np.cumsum(weight) - weight / 2
    part = np.clip((along * count).astype(np.int64), 0, count - 1)
    middle = np.clip(np.searchsorted(along, (np.arange(count) + 0.5) / count), 0, len(cells) - 1)
    total = np.bincount(part, weight, count)
    centres = np.stack([np.bincount(part, weight * cells[:, axis], count) for axis in (0, 1)], 1)
    filled = total > 0
    points = cells[middle]  # where one bright cell holds several parts
    points[filled] = centres[filled] / total[filled, None]
    return points


def _quantiles(projected: Array64, weight: Array64, count: int) -> Array64:
    """Middles of `count` equal parts of the light, projected on one direction."""
    reach = math.sqrt(2)
    bins = ((projected + reach) * (_BINS / (2 * reach))).astype(np.int64)
    share = np.concatenate([[0.0], np.cumsum(np.bincount(bins, weight, _BINS))])
    edges = np.linspace(-reach, reach, _BINS + 1)
    rising = np.concatenate([[True], np.diff(share) > 1e-12])
    quantiles: Array64 = np.interp((np.arange(count) + 0.5) / count, share[rising], edges[rising])
    return quantiles


def _inside(points: Array64, lit: Mask, cells: Array64) -> Array64:
    """The points; those in the dark are moved to the nearest lit cell."""
    at = np.clip(((points + 1) * (CELLS / 2)).astype(np.int64), 0, CELLS - 1)
    for number in np.flatnonzero(~lit[at[:, 1], at[:, 0]] | (np.abs(points) > 1).any(1)):
        points[number] = cells[np.argmin(((cells - points[number]) ** 2).sum(1))]
    return points
