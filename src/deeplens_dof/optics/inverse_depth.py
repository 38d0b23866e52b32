"""Inverse depth with its unit: larger is nearer, whatever the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from deeplens_dof.optics.false_colours import depth_colours
from deeplens_dof.runtime import notebook
from deeplens_dof.types import Plane

Unit = Literal["1/m", "relative"]


@dataclass(frozen=True, slots=True)
class InverseDepth:
    """Inverse depth of every pixel of a picture.

    In "1/m", inverse metres along the optical axis, 0 is infinity. "relative" depth is known up to scale and shift; after
    robust normalisation 0 is the farthest and 1 the nearest.

    Args:
        values: (H, W), finite; stored as float32.
        unit: "1/m" or "relative".

    Raises:
        ValueError: when the values are not a finite (H, W) array or the unit is unknown.
    """

    values: Plane
    unit: Unit

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"the unit of inverse depth is {self.unit!r}, expected one of {get_args(Unit)}")
        values = np.ascontiguousarray(self.values, np.float32)
        if values.ndim != 2 or values.size == 0:
            raise ValueError(
                f"inverse depth has shape {values.shape}, expected (height, width), both above 0"
            )
        if not np.isfinite(values).all():
            raise ValueError("inverse depth holds NaN or infinite values; replace them (0 is infinitely far)")
        object.__setattr__(self, "values", values)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.values.shape
        return height, width

    @property
    def is_relative(self) -> bool:
        """Whether scale and shift are unknown."""
        return self.unit == "relative"

    def to_metric(self, value: float, nearest_m: float) -> float:
        """One inverse depth of this map's unit in 1/m. nearest_m: distance of relative depth 1, in metres, above 0."""
        return value / nearest_m if self.is_relative else value

    def in_metres(self, nearest_m: float) -> Plane:
        """Inverse depth in 1/m, float32 (H, W); metric depth is returned as it is.

        Args:
            nearest_m: distance of relative depth 1, finite and above 0; relative depth 0 lies at infinity.

        Raises:
            ValueError: for another `nearest_m`.
        """
        if not (np.isfinite(nearest_m) and nearest_m > 0):
            raise ValueError(f"nearest_m is {nearest_m!r}, expected a finite distance in metres above 0")
        return self.values / np.float32(nearest_m) if self.is_relative else self.values

    def spread(self, nearest_m: float) -> float:
        """The range of inverse depth from far to near, in 1/m.

        Relative depth fills 0..1, hence 1 / `nearest_m`; of metric depth the range without the lowest and the highest
        half per cent.
        """
        if self.is_relative:
            return 1 / nearest_m
        far, near = np.percentile(_sample(self.values, 512), (0.5, 99.5))
        return float(near - far)

    def stretched(self) -> InverseDepth:
        """Relative depth stretched to 0..1 by `normalised`; metric depth as it is."""
        return InverseDepth(self.normalised(), self.unit) if self.is_relative else self

    def sampled(self, height: int, width: int) -> InverseDepth:
        """At another size, see `sample_nearest`: a mean of two depths would lie where no surface is."""
        if (height, width) == self.shape:
            return self
        return InverseDepth(sample_nearest(self.values, height, width), self.unit)

    def _repr_png_(self) -> bytes:
        """In colours, for notebooks: far is dark blue, near nearly white."""
        return notebook.png(depth_colours(self.normalised()))

    def normalised(self, low: float = 0.5, high: float = 99.5) -> Plane:
        """The values mapped to 0 (farthest) .. 1 (nearest), see `normalise`."""
        return normalise(self.values, low, high)


def sample_nearest(values: Plane, height: int, width: int) -> Plane:
    """values (h, w) at another size: each pixel takes the value at its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.intp)
        for new, old in zip((height, width), values.shape, strict=True)
    )
    return np.asarray(values[np.ix_(rows, columns)])


def normalise(values: Plane, low: float = 0.5, high: float = 99.5) -> Plane:
    """Values (H, W) mapped to 0..1: the `low` percentile to 0, the `high` one to 1, clipped. A constant map becomes 0.

    The percentiles of large maps are taken of every n-th pixel, about 1024 a side.
    """
    far, near = (float(value) for value in np.percentile(_sample(values, 1024), (low, high)))
    if not near - far > 1e-12 * max(abs(near), abs(far), 1e-30):
        return np.zeros_like(values, dtype=np.float32)
    scaled: Plane = (values - np.float32(far)) / np.float32(near - far)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _sample(values: Plane, side: int) -> Plane:
    """Every n-th pixel of a map (H, W), about `side` a side."""
    return values[:: max(1, values.shape[0] // side), :: max(1, values.shape[1] // side)]
