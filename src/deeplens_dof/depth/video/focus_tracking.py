"""Focus tracking in video: the focus set in the first frame of a shot follows its subject through the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.subject import depth_at
from deeplens_dof.imaging.resize import resize
from deeplens_dof.optics.inverse_depth import InverseDepth

Map = npt.NDArray[np.float32]
Point = tuple[float, float]

_LONG_SIDE_PX = 128
_REACH = 0.08  # largest motion from one frame to the next, in long sides
_DEPTH_REACH = 0.06  # of the depth range
_MATTE_SHARE = 0.9
_LOST = 0.2  # share of the initial weight below which the subject is covered or gone
_EASE = 0.5  # share of a change of depth that each frame follows
_STEPS = 30


class FollowedFocus:
    """The subject in focus: a cloud of pixels around one position and one depth, tracked by mean shift.

    depth: inverse depth of the focus, in the unit of the frames. point: (x, y) 0..1, centre of the cloud. inverse_depth and
    matte of `begin` and `update` are those of one frame, (H, W); the depth has the scale of the shot.
    """

    def __init__(self) -> None:
        self.depth = 0.0
        self.point: Point = (0.5, 0.5)
        self._place = np.zeros(3)  # x and y in long sides, inverse depth
        self._reach = np.ones(3)
        # The step in a static frame: a cloud without a centre creeps.
        self._drift = np.zeros(3)
        self._weight = 0.0
        self._first = (0.0, 0.0)  # depth of the focus and of the cloud's middle

    def begin(self, inverse_depth: InverseDepth, matte: Map | None, point: Point) -> float:
        """Sets the focus to the subject at (x, y), 0..1, and returns its inverse depth.

        Raises ValueError for a point outside.
        """
        self.depth = depth_at(inverse_depth.values, point)
        cloud, trust = _cloud(inverse_depth, matte)
        far, near = np.percentile(cloud[2], (0.5, 99.5))
        self._reach = np.array([_REACH, _REACH, max(_DEPTH_REACH * float(near - far), 1e-6)])
        height, width = inverse_depth.shape
        self._place = np.array([point[0] * width, point[1] * height, 0]) / max(height, width)
        self._place[2] = self.depth
        self._drift = np.zeros(3)
        self._weight = self._shift(cloud, trust)
        self._drift = self._step(cloud, trust)[0]
        self._first = self.depth, float(self._place[2])
        self.point = point
        return self.depth

    def update(self, inverse_depth: InverseDepth, matte: Map | None) -> float:
        """The focus in the next frame; unchanged where the subject is covered or gone."""
        cloud, trust = _cloud(inverse_depth, matte)
        before = self._place.copy()
        if self._shift(cloud, trust) < _LOST * self._weight:
            self._place = before
            return self.depth
        first_depth, first_middle = self._first
        self.depth += _EASE * (first_depth + float(self._place[2]) - first_middle - self.depth)
        height, width = inverse_depth.shape
        x, y = self._place[:2] * max(height, width)
        self.point = min(1.0, max(0.0, float(x) / width)), min(1.0, max(0.0, float(y) / height))
        return self.depth

    def _shift(self, cloud: npt.NDArray[np.float64], trust: npt.NDArray[np.float64]) -> float:
        """Moves the position to the weighted mean around it until it converges; returns the weight."""
        total = 0.0
        for _ in range(_STEPS):
            step, total = self._step(cloud, trust)
            self._place = self._place + step - self._drift
            if total < 1e-9 or (np.abs(step - self._drift) < 1e-4 * self._reach).all():
                break
        return total

    def _step(
        self, cloud: npt.NDArray[np.float64], trust: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], float]:
        """The shift to the weighted mean around the position, and the weight."""
        off = (cloud - self._place[:, None]) / self._reach[:, None]
        weight = trust * np.exp(-0.5 * (off**2).sum(0))
        total = float(weight.sum())
        return (cloud @ weight / total - self._place if total > 1e-9 else np.zeros(3)), total


def _cloud(
    inverse_depth: InverseDepth, matte: Map | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(3, n): x and y in units of the long side, and depth, of a small map; (n,): weight of each pixel."""
    height, width = inverse_depth.shape
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) / rows * height, (np.arange(columns) + 0.5) / columns * width, indexing="ij"
    )
    depth = inverse_depth.sampled(rows, columns).values
    cloud = np.stack([x / max(height, width), y / max(height, width), depth]).reshape(3, -1)
    trust = np.ones((rows, columns), np.float32) if matte is None else resize(matte, rows, columns)
    return cloud.astype(np.float64), (1 - _MATTE_SHARE * (1 - trust.astype(np.float64))).ravel()
