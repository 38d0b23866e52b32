"""Inner loops of `subject_hold`: shortest paths over a depth map, and the weight of the subject at full size.

Imported only by `subject_hold`, because numba is slow to import.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Map = npt.NDArray[np.float32]


@njit(nogil=True, cache=True)
def shortest_paths(cost: Map, depth: Map, per_cell: Map, slope: float, sweeps: int) -> None:
    """Lowers `cost` (h, w), in place, to that of the cheapest 4-connected path from any cell.

    A step from one cell to the next costs the mean of the two cells' `per_cell`, and the change of `depth` beyond
    `slope`. Raster sweeps in turn down and up (fast sweeping, Zhao 2005), at most `sweeps` of them.
    """
    height, width = cost.shape
    still = 0  # sweeps in a row that lowered nothing
    for sweep in range(sweeps):
        changed = False
        down = sweep % 2 == 0
        for i in range(height):
            y = i if down else height - 1 - i
            v = y - 1 if down else y + 1
            if 0 <= v < height:
                for x in range(width):
                    step = max(abs(depth[y, x] - depth[v, x]) - slope, 0.0)
                    through = cost[v, x] + step + 0.5 * (per_cell[y, x] + per_cell[v, x])
                    if through < cost[y, x]:
                        cost[y, x] = through
                        changed = True
            for x in range(1, width):
                step = max(abs(depth[y, x] - depth[y, x - 1]) - slope, 0.0)
                through = cost[y, x - 1] + step + 0.5 * (per_cell[y, x] + per_cell[y, x - 1])
                if through < cost[y, x]:
                    cost[y, x] = through
                    changed = True
            for x in range(width - 2, -1, -1):
                step = max(abs(depth[y, x] - depth[y, x + 1]) - slope, 0.0)
                through = cost[y, x + 1] + step + 0.5 * (per_cell[y, x] + per_cell[y, x + 1])
                if through < cost[y, x]:
                    cost[y, x] = through
                    changed = True
        still = 0 if changed else still + 1
        if still == 2:
            return


class Hold(NamedTuple):
    """The held subject: maps of a small size, and the columns of the large map in them."""

    depth: Map  # (h, w)
    weight: Map  # (h, w), 0..1
    left: npt.NDArray[np.int32]  # (W,): the small column to the left of each column's centre
    share: npt.NDArray[np.float64]  # (W,), 0..1: how far it lies on the way to the next one
    centre: np.float32  # depth of the subject
    noise: np.float32  # how far depth is held at most
    softness: np.float32  # how alike two depths are, in the unit of depth


@njit(nogil=True, cache=True)
def flatten_rows(
    out: Map,  # (H, W)
    first: int,
    last: int,
    depth: Map,  # (H, W)
    hold: Hold,
) -> None:
    """Rows first..last of `out`: `depth` with the subject's relief taken out.

    out = depth - weight * clip(depth - centre, -noise, noise). The weight is interpolated between the four cells round a
    pixel, of which those count most whose depth is the pixel's, so that it changes where the depth does.
    """
    small_depth, weight, left, share, centre, noise, softness = hold
    height, width = depth.shape
    rows, columns = weight.shape
    down = rows / height
    for y in range(first, last):
        v = (y + 0.5) * down - 0.5
        v0 = min(max(int(np.floor(v)), 0), rows - 1)
        v1 = min(v0 + 1, rows - 1)
        tv = min(max(v - v0, 0.0), 1.0)
        for x in range(width):
            u0 = left[x]
            u1 = min(u0 + 1, columns - 1)
            value = depth[y, x]
            a, b, c, d = weight[v0, u0], weight[v0, u1], weight[v1, u0], weight[v1, u1]
            if a == b and a == c and a == d:
                held = a
            else:
                tu = share[x]
                da = (value - small_depth[v0, u0]) / softness
                db = (value - small_depth[v0, u1]) / softness
                dc = (value - small_depth[v1, u0]) / softness
                dd = (value - small_depth[v1, u1]) / softness
                wa = (1 - tv) * (1 - tu) / (1 + da * da * da * da)
                wb = (1 - tv) * tu / (1 + db * db * db * db)
                wc = tv * (1 - tu) / (1 + dc * dc * dc * dc)
                wd = tv * tu / (1 + dd * dd * dd * dd)
                held = (wa * a + wb * b + wc * c + wd * d) / max(wa + wb + wc + wd, 1e-30)
            if held == 0:
                out[y, x] = value
            else:
                out[y, x] = value - held * min(max(value - centre, -noise), noise)
