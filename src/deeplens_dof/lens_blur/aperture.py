"""The shape of the aperture: where on the lens light may pass. A point of light out of focus takes this shape.

A shape is a set of lens points, low-discrepancy and uniform over its area, in units of the circle of confusion: a
surface with signed CoC radius `c` is seen from lens point `u` displaced by `c * u`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]

_PLASTIC = 0.5497004779019703  # Roberts 2018, third component of the cube's even additive recurrence


@dataclass(frozen=True, slots=True)
class Aperture:
    """A shape inside the unit disc. Make one with `Aperture.disc()`."""

    kind: str = "disc"

    @classmethod
    def disc(cls) -> Aperture:
        """The round aperture of a lens wide open."""
        return cls()

    def points(self, count: int) -> Points:
        """`count` lens points (count, 2) float32, |u| <= 1, each standing for the same area, mean exactly (0, 0)."""
        if count < 1:
            raise ValueError(f"{count} lens points were asked for, expected at least 1")
        index = np.arange(count) + 0.5
        radius, angle = np.sqrt(index / count), index * math.pi * (3 - math.sqrt(5))
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        centred: Points = (points - points.mean(0)).astype(np.float32)
        return centred


def alpha_thresholds(count: int) -> npt.NDArray[np.float32]:
    """Thresholds (count,) in 0..1, one for each lens point: an alpha of `a` passes about `a * count` of them.

    They are spread evenly on their own and against the lens points (an additive recurrence on the golden ratio would
    follow the spiral; the plastic number does not).
    """
    thresholds: npt.NDArray[np.float32] = ((0.5 + np.arange(1, count + 1) * _PLASTIC) % 1.0).astype(
        np.float32
    )
    return thresholds
