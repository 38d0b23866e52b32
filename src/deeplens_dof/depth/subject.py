"""The subject of a photo: the default focus point, how clearly it stands out, and the depth under a point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.resize import resize
from deeplens_dof.optics.inverse_depth import normalise

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_LONG_SIDE_PX = 128
_CENTRE = (0.5, 0.45)  # photographers leave more room below a subject than above it
_CENTRE_SIGMA = 0.27
_FRONT_SIGMA = 0.06  # of the depth range
_MARGIN = 0.03  # of each side: nothing so near the border of the picture is the subject
_LEDGE = 0.06  # of each side: a region that lies so near the border is a frame or a ledge
_CLEAR_MATTE = 0.35, 0.75  # of a region: no subject, surely one
_STANDS_OUT = 0.12, 0.3  # of the depth range, before its surroundings: hardly, clearly
_WINDOW = 0.02  # of the long side: what a fingertip covers


@dataclass(frozen=True, slots=True)
class Subject:
    """point: (x, y), 0..1, inside the subject. confidence: 0..1, how clearly it stands out."""

    point: tuple[float, float]
    confidence: float


def subject_point(inverse_depth: Map, matte: Map | None = None) -> tuple[float, float]:
    """The point of `find_subject`."""
    return find_subject(inverse_depth, matte).point


def find_subject(inverse_depth: Map, matte: Map | None = None) -> Subject:
    """The nearest large thing about the centre of the picture, and a point inside it at the depth of its front.

    A pixel counts by how near it is, how much it stands out from the rest of its row (a floor does not), how central it
    is and how surely the matte holds it; the connected region with the largest sum wins. Regions that hug the border of
    the picture (frames, ledges) count less. The front is the depth that most of the region shows, not its nearest end.

    Args:
        inverse_depth: (H, W) of any scale, near is larger.
        matte: (H, W), 0..1, how much each pixel belongs to a subject.

    Returns:
        The subject; the centre with a confidence of 0 for a constant map.
    """
    height, width = inverse_depth.shape
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    near = normalise(resize(inverse_depth, *size))
    if not near.any():
        return Subject((0.5, 0.5), 0.0)
    belongs = None if matte is None else _finite(resize(np.asarray(matte, np.float32), *size))
    centre = _centre_prior(*size)
    interest = _interest(near) if belongs is None else _with_matte(_interest(near), belongs)
    interest = interest * centre * ~_border(*size, _MARGIN)
    region = _best_region(interest, near)
    shown = border_distance(region) * centre
    front = _most_shown(near, shown)
    inside = shown * np.exp(-(((near - front) / _FRONT_SIGMA) ** 2))
    y, x = np.unravel_index(int(np.argmax(np.where(region, inside, -1))), size)
    point = (float(x) + 0.5) / size[1], (float(y) + 0.5) / size[0]
    return Subject(point, _confidence(near, region, belongs))


def depth_at(values: Map, point: tuple[float, float]) -> float:
    """Inverse depth of the thing under a point (x, y) of 0..1: the median of a small window round it.

    Where the window lies across a border (two depths), the nearer one counts, provided it fills a quarter of
    the window. Raises ValueError when the point is not within 0..1.
    """
    if not all(math.isfinite(c) and 0 <= c <= 1 for c in point):
        raise ValueError(f"the point is {point!r}, expected (x, y) within 0..1 of the upright picture")
    height, width = values.shape
    radius = max(1, round(_WINDOW / 2 * max(height, width)))
    x, y = min(width - 1, int(point[0] * width)), min(height - 1, int(point[1] * height))
    window = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].ravel()
    middle = _otsu(window)
    nearer, farther = window[window > middle], window[window <= middle]
    if not len(nearer) or not len(farther):
        return float(np.median(window))
    gap = float(np.median(nearer) - np.median(farther))
    spread = float(np.ptp(values[:: max(1, height // 256), :: max(1, width // 256)]))
    two_depths = gap > 0.08 * spread and len(nearer) >= 0.25 * len(window)
    return float(np.median(nearer if two_depths else window))


def border_distance(region: Mask) -> npt.NDArray[np.float32]:
    """Distance in pixels (city block) of every pixel of the region to the nearest pixel outside; 0 outside.

    The border of the picture does not count as outside unless the region is everything.
    """
    distance = np.zeros(region.shape, np.float32)
    rest = region.copy()
    while rest.any():
        distance += rest
        padded = np.pad(rest, 1, mode="constant" if rest.all() else "edge")
        rest = rest & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return distance


def _with_matte(interest: Map, matte: Map) -> Map:
    """Interest where a matte tells the subject: nearness counts less beside it, and little where it says no."""
    return np.asarray((0.2 + 0.8 * interest) * (0.02 + 0.98 * matte**2), np.float32)


def _finite(matte: Map) -> Map:
    """Within 0..1, and 0 where it is NaN."""
    return np.asarray(np.clip(np.nan_to_num(matte, nan=0.0), 0, 1), np.float32)


def _border(height: int, width: int, share: float) -> Mask:
    """True within so much of each side of the picture's border; nowhere in a picture of few pixels."""
    y, x = (int(side * share) for side in (height, width))
    border = np.ones((height, width), bool)
    border[y : height - y, x : width - x] = False
    return border


def _most_shown(near: Map, weight: Map) -> float:
    """The depth at which most of the weight lies, within `_FRONT_SIGMA`; the nearer of equals."""
    count, edges = np.histogram(near, 64, (0, 1), weights=weight)
    middle = (edges[:-1] + edges[1:]) / 2
    smooth = np.exp(-0.5 * ((middle[:, None] - middle) / _FRONT_SIGMA) ** 2) @ count
    return float(middle[len(middle) - 1 - int(np.argmax(smooth[::-1]))])


def _confidence(near: Map, region: Mask, matte: Map | None) -> float:
    """0..1: the matte holds the region surely, or, where there is none, the region stands out before the rest."""
    if matte is not None:
        return _ramp(float(np.percentile(matte[region], 75)), *_CLEAR_MATTE)
    rest = ~region
    if not rest.any():
        return 0.0
    return _ramp(float(np.median(near[region]) - np.percentile(near[rest], 60)), *_STANDS_OUT)


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _interest(near: Map) -> Map:
    """Nearness, and how far each pixel stands out before its row; both 0..1."""
    row = np.percentile(near, 15, axis=1, keepdims=True).astype(np.float32)
    return np.asarray(0.35 * near + 0.65 * np.maximum(near - row, 0), np.float32)


def _centre_prior(height: int, width: int) -> Map:
    x = (np.arange(width) + 0.5) / width - _CENTRE[0]
    y = (np.arange(height) + 0.5) / height - _CENTRE[1]
    squared = x[None, :] ** 2 + y[:, None] ** 2
    return np.exp(-squared / (2 * _CENTRE_SIGMA**2)).astype(np.float32)


def _best_region(interest: Map, near: Map) -> Mask:
    """The connected region of high interest, of one thing's depths, with the largest sum; less so along the border."""
    regions = _regions(interest > _otsu(interest.ravel()), near)
    ledge = _border(interest.shape[0], interest.shape[1], _LEDGE)
    return max(
        regions, key=lambda region: float(interest[region].sum()) * (1 - float(ledge[region].mean())) ** 2
    )


def _regions(mask: Mask, near: Map, largest_step: float = 0.08) -> list[Mask]:
    """4-connected regions of the mask; neighbours further apart in depth than `largest_step` are not
    connected."""
    height, width = mask.shape
    left = mask.copy()
    found = []
    for start_y, start_x in np.argwhere(mask):
        if not left[start_y, start_x]:
            continue
        region = np.zeros_like(mask)
        stack = [(int(start_y), int(start_x))]
        left[start_y, start_x] = False
        while stack:
            y, x = stack.pop()
            region[y, x] = True
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < height and 0 <= u < width and left[v, u]
                if inside and abs(float(near[v, u]) - float(near[y, x])) <= largest_step:
                    left[v, u] = False
                    stack.append((v, u))
        found.append(region)
    return found


def _otsu(values: npt.NDArray[np.float32]) -> float:
    """The threshold that splits values into the two most distinct groups (Otsu 1979); below the minimum if
    constant."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return low - 1.0
    count, edges = np.histogram(values, 64, (low, high))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(count)[:-1]
    above = values.size - below
    total = np.cumsum(count * middle)
    mean_below = total[:-1] / np.maximum(below, 1)
    mean_above = (total[-1] - total[:-1]) / np.maximum(above, 1)
    between = below.astype(np.float64) * above * (mean_above - mean_below) ** 2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1:-1][best].mean())
