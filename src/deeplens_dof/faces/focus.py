"""What a focus on faces means: the nearer eye of a face, and the band of depths that holds several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deeplens_dof.depth.subject import Subject, depth_at, find_subject
from deeplens_dof.faces.face import Face, Point
from deeplens_dof.faces.find import Picture, find_faces
from deeplens_dof.types import Plane

# Of the matte, mean over a face: it is part of the subject.
_IN_MATTE = 0.5
# Of the depth range: a face so near the subject's depth is part of it, where there is a matte and where there is none.
_AT_SUBJECT_IN_MATTE, _AT_SUBJECT = 0.15, 0.1
# Of the distance of the eyes: radius of an eye.
_EYE = 0.15
# Of the depth range: beyond the nearest and the farthest of several faces, so that the relief of those is sharp too.
_RELIEF = 0.02


def subject_and_faces(
    rgb: Picture, inverse_depth: Plane, matte: Plane | None, threads: int | None = None
) -> tuple[Subject, tuple[Face, ...]]:
    """The subject of a photo and its faces.

    Args:
        rgb: sRGB uint8 (H, W, 3).
        inverse_depth: (H, W) of any scale, near is larger.
        matte: (H, W), 0..1, or None.
        threads: None is one per core.

    Returns:
        The subject as `depth.subject.find_subject` finds it, its point moved to the nearer eye of the most prominent face
        that is part of it, if there is one; and all faces, the most prominent first.
    """
    subject, faces = find_subject(inverse_depth, matte), find_faces(rgb, threads)
    for face in faces:
        if is_of_subject(face, inverse_depth, matte, subject.point):
            return replace(subject, point=nearer_eye(face, inverse_depth)), faces
    return subject, faces


def is_of_subject(face: Face, inverse_depth: Plane, matte: Plane | None, point: Point) -> bool:
    """Whether a face is part of the subject: by its matte, if there is one, and by the depth at its point."""
    if matte is not None and float(np.nan_to_num(_within(matte, face.box), nan=0.0).mean()) < _IN_MATTE:
        return False
    apart = abs(depth_at(inverse_depth, face.centre) - depth_at(inverse_depth, point))
    most = _AT_SUBJECT if matte is None else _AT_SUBJECT_IN_MATTE
    return apart <= most * float(np.ptp(inverse_depth))


def nearer_eye(face: Face, inverse_depth: Plane) -> Point:
    """(x, y), 0..1, of the eye with the larger inverse depth, the left one in the picture of equals."""
    radius = _EYE * abs(face.eyes[1][0] - face.eyes[0][0])
    height, width = inverse_depth.shape
    tall = radius * width / height
    boxes = [(x - radius, y - tall, x + radius, y + tall) for x, y in face.eyes]
    left, right = (float(np.median(_within(inverse_depth, box))) for box in boxes)
    return face.eyes[1] if right > left else face.eyes[0]


def band(depths: Sequence[float], depth_range: float) -> tuple[float, float]:
    """The focus and the width of the sharp band that holds depths.

    Args:
        depths: inverse depths of faces, at least one.
        depth_range: of the scene, in the same unit.

    Returns:
        The middle of the depths, and a width that reaches a little beyond them; 0 for a single depth.
    """
    low, high = min(depths), max(depths)
    return (low + high) / 2, (high - low + 2 * _RELIEF * depth_range if high > low else 0.0)


def _within(values: Plane, box: tuple[float, float, float, float]) -> Plane:
    """The values within a box of 0..1, at least one of them."""
    height, width = values.shape
    left, right = (min(width - 1, max(0, int(x * width))) for x in (box[0], box[2]))
    top, bottom = (min(height - 1, max(0, int(y * height))) for y in (box[1], box[3]))
    return values[top : bottom + 1, left : right + 1]
