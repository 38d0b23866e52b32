"""Depth of a photo from photos of the same scene whose cameras are known: plane sweep, semi-global matching, cross-check.

Pinhole cameras: a point at `world` (3,) lies at `rotation @ world + position` (x right, y down, z forward, units of the
reconstruction) and is seen at pixel `matrix @ that / z`; pixel centres are at +0.5. Inverse depth is 1/z of the photo.

Planes parallel to the photo's sensor, uniform in inverse depth, carry the other photos over; the cost of a plane is one
minus the normalised cross-correlation of small windows, the mean over the better half of the other photos, because what
is hidden in some of them is seen in the rest. `agreeing` then keeps the depths that the maps of other photos confirm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]
Area = npt.NDArray[np.bool_]

WINDOW = 5  # px, of the correlation
SMALL_STEP, LARGE_STEP = 20, 160  # cost of a change by one plane and by more, where a full mismatch costs 255
EDGE_GREY = 12.0  # a change of grey by this much halves the cost of a large step
TEXTURE_GREY = 1.5  # standard deviation of grey below which a window says nothing
ROUNDS_TO_ZERO = 1e-6


@dataclass(frozen=True)
class View:
    """A photo and its camera. grey: float32 (H, W), 0..255. matrix, rotation: (3, 3). position: (3,)."""

    name: str
    grey: Map
    matrix: npt.NDArray[np.float64]
    rotation: npt.NDArray[np.float64]
    position: npt.NDArray[np.float64]

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        """Where the camera stands in the world."""
        return -self.rotation.T @ self.position


def inverse_depth(photo: View, others: Sequence[View], near: float, far: float, planes: int = 128) -> Map:
    """Inverse depth of every pixel, before any check.

    Args:
        photo: the view to measure.
        others: views of the same scene, two at least.
        near, far: the largest and the smallest inverse depth looked for, far > 0 or 0 for infinity.
        planes: number of planes between them.

    Returns:
        float32 (H, W), between far and near.

    Raises:
        ValueError: fewer than two other views, or near not above far.
    """
    if len(others) < 2 or not near > far >= 0:
        raise ValueError(
            f"{photo.name}: {len(others)} other photos and inverse depths from {far:g} to {near:g}, "
            "expected two photos at least and 0 <= far < near"
        )
    levels = np.linspace(far, near, planes)
    cost = np.stack([_cost(photo, others, level) for level in levels], axis=-1)
    total = _aggregated(np.round(cost * 255).astype(np.uint16), photo.grey)
    return np.float32(far + (near - far) / (planes - 1) * _lowest(total))


def carried(view: View, to: View, level: float) -> npt.NDArray[np.float64]:
    """Homography from pixels of `to` to pixels of `view`, for the plane of this inverse depth in front of `to`."""
    turn = view.rotation @ to.rotation.T
    shift = view.position - turn @ to.position
    plane = turn + level * np.outer(shift, [0.0, 0.0, 1.0])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])  # from array indices to pixel coordinates
    return np.linalg.inv(half) @ view.matrix @ plane @ np.linalg.inv(to.matrix) @ half


def _cost(photo: View, others: Sequence[View], level: float) -> Map:
    """0 (alike) to 1 (unlike or not seen), the mean of the better half of the other photos."""
    size = photo.grey.shape[1::-1]
    mean, deviation = _moments(photo.grey)
    costs = []
    for other in others:
        homography = carried(other, photo, level)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(
            other.grey, homography, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e4
        )
        there_mean, there_deviation = _moments(seen)
        product = cv2.blur(photo.grey * seen, (WINDOW, WINDOW)) - mean * there_mean
        correlation = product / (deviation * there_deviation)
        costs.append(np.where(there_mean < 0, 1, np.clip((1 - correlation) / 2, 0, 1)))
    return np.sort(np.stack(costs), axis=0)[: (len(costs) + 1) // 2].mean(axis=0, dtype=np.float32)


def _moments(grey: Map) -> tuple[Map, Map]:
    mean = cv2.blur(grey, (WINDOW, WINDOW))
    variance = cv2.blur(grey * grey, (WINDOW, WINDOW)) - mean * mean
    return mean, np.sqrt(np.maximum(variance, TEXTURE_GREY**2))


def _aggregated(cost: npt.NDArray[np.uint16], grey: Map) -> npt.NDArray[np.uint16]:
    """Sum of the costs of the best paths from eight directions; a large step is cheap where grey changes."""
    total = np.zeros_like(cost)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        _add_paths(cost, grey, down, right, total)
    return total


@numba.njit(cache=True)
def _add_paths(cost, grey, down, right, total):  # type: ignore[no-untyped-def]
    height, width, planes = cost.shape
    path = np.zeros((height, width, planes), np.uint16)
    for step_row in range(height):
        row = step_row if down >= 0 else height - 1 - step_row
        for step_column in range(width):
            column = step_column if right >= 0 else width - 1 - step_column
            from_row, from_column = row - down, column - right
            if not (0 <= from_row < height and 0 <= from_column < width):
                for k in range(planes):
                    path[row, column, k] = cost[row, column, k]
                    total[row, column, k] += cost[row, column, k]
                continue
            before = path[from_row, from_column]
            least = before[0]
            for k in range(1, planes):
                least = min(least, before[k])
            change = abs(grey[row, column] - grey[from_row, from_column])
            jump = max(SMALL_STEP + 1, LARGE_STEP / (1 + change / EDGE_GREY))
            for k in range(planes):
                best = min(np.float32(before[k]), np.float32(least + jump))
                if k > 0:
                    best = min(best, np.float32(before[k - 1] + SMALL_STEP))
                if k < planes - 1:
                    best = min(best, np.float32(before[k + 1] + SMALL_STEP))
                value = cost[row, column, k] + best - least
                path[row, column, k] = np.uint16(value)
                total[row, column, k] += np.uint16(value)


def _lowest(total: npt.NDArray[np.uint16]) -> Map:
    """Index of the lowest cost, between planes by the parabola through it and its neighbours."""
    best = total.argmin(axis=-1)
    inner = np.clip(best, 1, total.shape[-1] - 2)
    before, here, after = (
        np.take_along_axis(total, (inner + step)[..., None], axis=-1)[..., 0].astype(np.float32)
        for step in (-1, 0, 1)
    )
    bend = before - 2 * here + after
    offset = np.where(bend > ROUNDS_TO_ZERO, (before - after) / (2 * np.maximum(bend, ROUNDS_TO_ZERO)), 0)
    return np.where(inner == best, best + np.clip(offset, -0.5, 0.5), best).astype(np.float32)


def agreeing(
    photo: View, depth: Map, others: Sequence[tuple[View, Map]], tolerance: float, needed: int
) -> Area:
    """Where enough other photos measured the same point.

    Args:
        photo, depth: the view and its inverse depth.
        others: other views with theirs.
        tolerance: largest difference of inverse depth, in the same units.
        needed: number of other views that must agree.

    Returns:
        bool (H, W).
    """
    height, width = depth.shape
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(photo.matrix).T
    points = rays / np.maximum(depth, 1e-9)[..., None]
    world = (points - photo.position) @ photo.rotation
    votes = np.zeros(depth.shape, np.int32)
    for view, there in others:
        seen = world @ view.rotation.T + view.position
        z = seen[..., 2]
        at = seen @ view.matrix.T / np.where(z > 0, z, 1)[..., None]
        place = np.float32(at[..., :2] - 0.5)
        measured = cv2.remap(
            there, place, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e9
        )
        votes += (z > 0) & (np.abs(measured - 1 / np.where(z > 0, z, 1)) < tolerance)
    return votes >= needed


def nearest_views(
    photo: View, views: Sequence[View], points: npt.NDArray[np.float64], count: int
) -> list[View]:
    """The views that suit for matching: they see the scene at a small angle to the photo's, not at none.

    Args:
        photo: the view to measure.
        views: all views, the photo itself may be among them.
        points: (N, 3) points of the scene that the photo sees.
        count: number wanted.

    Returns:
        The best first; views that look elsewhere are left out.
    """
    ranked = []
    to_photo = photo.centre - points
    for view in views:
        if view.name == photo.name:
            continue
        seen = points @ view.rotation.T + view.position
        at = seen @ view.matrix.T
        z = np.maximum(at[:, 2], 1e-9)
        height, width = view.grey.shape
        inside = (
            (at[:, 2] > 0)
            & (np.abs(at[:, 0] / z / width - 0.5) < 0.5)
            & (np.abs(at[:, 1] / z / height - 0.5) < 0.5)
        )
        to_view = view.centre - points
        cosine = (to_photo * to_view).sum(1) / (
            np.linalg.norm(to_photo, axis=1) * np.linalg.norm(to_view, axis=1)
        )
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        suits = np.where(angle < 8, angle / 8, np.exp(-(((angle - 8) / 12) ** 2)))
        score = float((inside * suits).mean()) if len(points) else 0.0
        if inside.mean() > 0.25 and score > 0.02:
            ranked.append((score, view.name, view))
    return [view for _, _, view in sorted(ranked, key=lambda each: (-each[0], each[1]))[:count]]
