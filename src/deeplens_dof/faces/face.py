"""A face: where it is, its eyes, how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """A face in an upright photo. Places are 0..1 from the top left.

    box: (left, top, right, bottom), from the brows to the chin, cut where the picture ends. eyes: (x, y) of both, the left
    one in the picture first; the eye that turns away in a profile is where it would be. score: 0..1, how sure it is a face.
    """

    box: tuple[float, float, float, float]
    eyes: tuple[Point, Point]
    score: float

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def centre(self) -> Point:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2
