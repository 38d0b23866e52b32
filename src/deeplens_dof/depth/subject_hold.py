"""The subject's own relief, held at one depth so that the whole subject is in focus.

A network orders a subject before its background well, but its relief within a subject is not to be trusted: a torso may
come out nearer than the head, and a fixed band of depth blurs one of them. So inside the matte, depth is drawn towards the
depth of the subject. Two shortest-path distances over the small depth map say how far:

- from the background: crossing a depth step costs as much as a walk of `_LET_GO` of the picture, so the subject is held right
  up to a border that occludes something, and let go smoothly where it stands on or leans against something;
- from the point in focus, through the matte, counting only steps: a second person at another distance is not reached.

Where the matte itself is soft (hair, fur, whiskers) the hold fades with it: a strand that dissolves is better than one that
is cut off. Nothing outside the matte changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.subject import depth_at
from deeplens_dof.optics.inverse_depth import sample_nearest
from deeplens_dof.runtime.threads import for_bands
from deeplens_dof.types import Mask, Plane

_LONG_SIDE_PX = 320
# Of the matte: the border of the subject; a gap in it, where the depth is also far.
_INSIDE, _SEEN_THROUGH = 0.35, 0.2
# Of the matte: hair and fur, which are let go so that they end softly; surely the subject.
_SOFT, _SURE = 0.35, 0.7
# Of the depth range: a gap in the subject shows something so much farther.
_GAP_STEP = 0.08
# Of the small map: distance of the border of the matte from a step in depth, which is the true border.
_DOUBT_PX = 3
# Of the long side: distance from a contact at which the subject is fully held.
_LET_GO = 0.02
# Of the depth range: a step that occludes; relief, within one cell.
_STEP, _SLOPE = 0.05, 0.004
# Of the depth range: sum of the steps on the way from the focus, up to which it is one subject; from which it is another.
_SAME, _OTHER = 0.15, 0.3
# Of the long side: a point so near the subject lies on it.
_POINT_REACH = 0.012
# Measured depth: standard deviations of noise that are held; at most so much of the depth range.
_NOISES, _MOST_NOISE = 3.0, 0.05
# Of the depth range: how far the subject of a film follows the focus.
_FOLLOWED = 0.05
# Of the depth range: depths that count as one where the weight is enlarged.
_ALIKE = 0.03
# More than any path of a real photo turns up and down.
_SWEEPS = 40


@dataclass(frozen=True, slots=True)
class SubjectWeight:
    """How far each pixel is held at the subject's depth.

    weight: (h, w) of a small map, 0..1. depth: the inverse depth there, to enlarge the weight by. centre: inverse depth of
    the subject at the point in focus. depth_range: of the scene, in the same unit. noise: how far measured depth is held
    at most, infinity for predicted depth.
    """

    weight: Plane
    depth: Plane
    centre: float
    depth_range: float
    noise: float

    def near(self, focus: float) -> SubjectWeight:
        """With the centre drawn towards the inverse depth in focus, by `_FOLLOWED` of the depth range at most: the subject
        of a film is in focus although its depth trembles."""
        most = _FOLLOWED * self.depth_range
        return replace(self, centre=self.centre + min(max(focus - self.centre, -most), most))

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether the point (x, y), 0..1, is held more than not."""
        height, width = self.weight.shape
        x, y = min(width - 1, int(point[0] * width)), min(height - 1, int(point[1] * height))
        return bool(self.weight[y, x] > 0.5)


def subject_weight(
    inverse_depth: Plane, matte: Plane, point: tuple[float, float], depth_range: float, measured: bool = False
) -> SubjectWeight | None:
    """The part of the matte that belongs to the thing at a point.

    Args:
        inverse_depth: (H, W), any unit, near is larger.
        matte: (H, W), 0..1.
        point: (x, y), 0..1, on the subject.
        depth_range: inverse depth from the far to the near of the scene, above 0, in the unit of inverse_depth.
        measured: the depth is a sensor's; only its noise is held.

    Returns:
        The weight, or None where the point is not on the matte.
    """
    height, width = inverse_depth.shape
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    depth = np.ascontiguousarray(sample_nearest(inverse_depth, *size), np.float32)
    small_matte = np.nan_to_num(sample_nearest(matte, *size), nan=0.0)
    centre = depth_at(inverse_depth, point)
    relative = np.ascontiguousarray((depth - np.float32(centre)) / np.float32(depth_range))
    inside = small_matte >= _INSIDE
    at = _seeds(relative, inside, point)
    if not at.any():
        return None
    weight = _held(relative, small_matte, inside) * _connected(relative, inside, at)
    noise = _noise(depth, weight, depth_range) if measured else np.inf
    return SubjectWeight(np.ascontiguousarray(weight, np.float32), depth, centre, depth_range, noise)


def flattened(
    inverse_depth: Plane, subject: SubjectWeight, strength: float = 1.0, threads: int | None = None
) -> Plane:
    """`inverse_depth` with the relief of the subject taken out, float32 (H, W).

    Args:
        inverse_depth: (H, W), of the scene that the weight was made for, at any size.
        subject: the weight.
        strength: 0..1; 1 leaves no relief where the weight is 1, 0 changes nothing.
        threads: None is one per core.

    Returns:
        depth - strength * weight * clip(depth - centre, -noise, noise): the same bits where the weight is 0.
    """
    from deeplens_dof.depth.hold_kernels import Hold, flatten_rows

    if strength <= 0:
        return inverse_depth
    out = np.empty_like(inverse_depth)
    weight = subject.weight if strength == 1 else subject.weight * np.float32(strength)
    facts = np.float32(subject.centre), np.float32(subject.noise), np.float32(_ALIKE * subject.depth_range)
    hold = Hold(subject.depth, weight, *_columns(inverse_depth.shape[1], weight.shape[1]), *facts)

    def work(first: int, last: int) -> None:
        flatten_rows(out, first, last, inverse_depth, hold)

    for_bands(work, inverse_depth.shape[0], threads)
    return out


def _columns(width: int, small_width: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Of each column of a large map: the column of a small one to the left of its centre, and the way to the next, 0..1."""
    place = (np.arange(width) + 0.5) * (small_width / width) - 0.5
    left = np.clip(np.floor(place), 0, small_width - 1)
    return left.astype(np.int32), np.clip(place - left, 0, 1)


def _held(relative: Plane, matte: Plane, inside: Mask) -> Plane:
    """How far the subject is held: 1 except for hair, and near things that it touches without a step."""
    at_a_step = _grown(_steps(relative), _DOUBT_PX)
    outside = ~inside & ~(_grown(inside, _DOUBT_PX) & at_a_step)
    outside |= (matte < _SEEN_THROUGH) & (relative < _nearest(relative, _DOUBT_PX) - _GAP_STEP)
    per_cell = np.full_like(relative, _STEP / (_LET_GO * max(relative.shape)))
    away = _paths(outside, relative, per_cell, 0.0, _STEP)
    surely = (matte - np.float32(_SOFT)) / np.float32(_SURE - _SOFT)
    return _smooth(away / np.float32(_STEP)) * _smooth(surely)


def _connected(relative: Plane, inside: Mask, at: Mask) -> Plane:
    """1 for what is reached from the seeds within the matte without a step in depth, 0 behind one."""
    walls = np.where(_grown(inside, _DOUBT_PX), np.float32(0), np.float32(2 * _OTHER))
    steps = _paths(at, relative, walls, _SLOPE, _OTHER)
    return _smooth((np.float32(_OTHER) - steps) / np.float32(_OTHER - _SAME))


def _paths(seeds: Mask, relative: Plane, per_cell: Plane, slope: float, most: float) -> Plane:
    from deeplens_dof.depth.hold_kernels import shortest_paths

    cost = np.where(seeds, np.float32(0), np.float32(most))
    shortest_paths(cost, relative, per_cell, np.float32(slope), _SWEEPS)
    return cost


def _seeds(relative: Plane, inside: Mask, point: tuple[float, float]) -> Mask:
    """Cells of the subject at the point, and of its depth."""
    height, width = relative.shape
    radius = max(1.0, _POINT_REACH * max(height, width))
    y, x = np.ogrid[:height, :width]
    near = (x + 0.5 - point[0] * width) ** 2 + (y + 0.5 - point[1] * height) ** 2 <= radius**2
    return np.asarray(near & inside & (np.abs(relative) < _SAME))


def _steps(relative: Plane) -> Mask:
    """Cells on either side of a step in depth."""
    down, right = (np.abs(np.diff(relative, axis=axis)) > _STEP for axis in (0, 1))
    steps = np.zeros(relative.shape, bool)
    steps[1:] |= down
    steps[:-1] |= down
    steps[:, 1:] |= right
    steps[:, :-1] |= right
    return steps


def _noise(depth: Plane, weight: Plane, depth_range: float) -> float:
    """How far measured depth trembles on the subject: a few standard deviations of its second differences."""
    second = depth[:, 1:-1] - 0.5 * (depth[:, :-2] + depth[:, 2:])
    on = second[weight[:, 1:-1] > 0.5]
    if on.size == 0:
        return 0.0
    deviation = (
        1.4826 * float(np.median(np.abs(on))) / 1.2247
    )  # sqrt(1.5), that of white noise of deviation 1
    return min(_NOISES * deviation, _MOST_NOISE * depth_range)


def _grown(mask: Mask, radius: int) -> Mask:
    """The mask and the cells within so many city blocks of it."""
    for _ in range(radius):
        padded = np.pad(mask, 1)
        mask = mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask


def _nearest(relative: Plane, radius: int) -> Plane:
    """The largest inverse depth within so many city blocks."""
    for _ in range(radius):
        padded = np.pad(relative, 1, mode="edge")
        across = np.maximum(padded[1:-1, :-2], padded[1:-1, 2:])
        relative = np.maximum(np.maximum(padded[:-2, 1:-1], padded[2:, 1:-1]), np.maximum(relative, across))
    return relative


def _smooth(share: Plane) -> Plane:
    """0..1 with slope 0 at both ends (smoothstep)."""
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
