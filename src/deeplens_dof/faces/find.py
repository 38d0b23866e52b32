"""Finds the faces of a photo: a scan of the whole photo, then a closer look at each place that may be one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.faces.blazeface import LEFT_EYE, MIDDLE, RIGHT_EYE, SIDES, Places, Scores, answers
from deeplens_dof.faces.face import Face
from deeplens_dof.imaging.resize import resize_picture

Picture = npt.NDArray[np.uint8]

# Widths at which the photo is scanned: for faces from 3 % of it; for those that nearly fill it.
_WIDTHS_PX = 352, 96
# Of a photo: with fewer px on a side it shows no face.
_SMALLEST_PX = 24
# Of the scan of a tall photo: the longest side.
_LONGEST_PX = 704
_MULTIPLE_PX = 32
# Black around what is scanned: a face at the photo's border is not at the network's.
_MARGIN_PX = 16
# Scores: from which a place is looked at closely; from which the mean of both closer looks makes it a face.
_CANDIDATE, _SURE = 0.35, 0.74
# Sides of the closer looks, in widths of the face, and in px.
_LOOKS, _LOOK_PX = (2.0, 3.2), 128
# One face: boxes that share so much of their union, or of the smaller one. A closer look must find that much where it looks.
_SAME, _WITHIN, _CONFIRMED = 0.3, 0.7, 0.2
# Places that are looked at closely, at most, the likeliest first.
_MOST = 64
# Spread of the middle of photos, where the main persons are, in widths.
_CENTRE_SIGMA = 0.4


class _Place(NamedTuple):
    """score: 0..1. points: (8, 2), as in `blazeface`, in px of the photo."""

    score: float
    points: npt.NDArray[np.float32]


def find_faces(rgb: Picture, threads: int | None = None) -> tuple[Face, ...]:
    """The faces of a photo, from about 3 % of its width, the most prominent first: large and near the middle.

    Args:
        rgb: sRGB uint8 (H, W, 3), upright, of any size.
        threads: None is one per core.

    Returns:
        The faces; empty where there are none, and for photos of less than 24 px a side. Faces turned by up to 90 degrees are
        found, those on their heads now and then; drawn and carved ones count.

    Raises:
        ValueError: `rgb` is another array.
    """
    _check(rgb)
    height, width = rgb.shape[:2]
    if min(height, width) < _SMALLEST_PX:
        return ()
    candidates = [place for scan_px in _WIDTHS_PX for place in _scan(rgb, scan_px, threads)]
    sure = _looked_at(rgb, _apart(candidates)[:_MOST], threads)
    faces = [_face(place, height, width) for place in _apart(sure)]
    return tuple(sorted(faces, key=lambda face: _prominence(face, height / width), reverse=True))


def _scan(rgb: Picture, scan_px: int, threads: int | None) -> list[_Place]:
    """Places in a photo, made so many px wide, that may be faces."""
    height, width = rgb.shape[:2]
    scale = min(scan_px / width, _LONGEST_PX / height)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize_picture(_fewer_rows(rgb, size[0]), *size)
    rows, columns = (-(side + 2 * _MARGIN_PX) % _MULTIPLE_PX + _MARGIN_PX for side in size)
    padded = np.pad(small, ((_MARGIN_PX, rows), (_MARGIN_PX, columns), (0, 0)))
    scores, places = answers("faces", padded[None], threads)
    to_photo = np.array([width / size[1], height / size[0]], np.float32)
    return _places(scores[0], places[0], _CANDIDATE, to_photo, np.full(2, -_MARGIN_PX, np.float32))


def _looked_at(rgb: Picture, places: list[_Place], threads: int | None) -> list[_Place]:
    """Those of the places in which the second network, which sees each of them large, twice finds the same face."""
    found = [(place, _Place(0.0, np.zeros_like(place.points))) for place in places]
    for number, look in enumerate(_LOOKS, 1):
        seen = _seen(rgb, [place for place, _ in found], look, threads)
        found = [
            (place, _Place(sum_.score + new.score, sum_.points + new.score * new.points))
            for (place, sum_), new in zip(found, seen, strict=True)
            if new is not None and (sum_.score + new.score + len(_LOOKS) - number) / len(_LOOKS) >= _SURE
        ]
    return [_Place(sum_.score / len(_LOOKS), sum_.points / np.float32(sum_.score)) for _, sum_ in found]


def _seen(rgb: Picture, places: list[_Place], look: float, threads: int | None) -> list[_Place | None]:
    """The face that the second network finds in each place, seen in a square of `look` widths of it; None where none."""
    if not places:
        return []
    looks = [_look(rgb, place, look) for place in places]
    found = answers("face_check", np.stack([picture for picture, _, _ in looks]), threads)
    faces = []
    for index, (place, (_, scale, start)) in enumerate(zip(places, looks, strict=True)):
        closer = _apart(_places(found.scores[index], found.places[index], _CANDIDATE, scale, start / scale))
        there = (face for face in closer if _overlap(face.points, place.points) >= _CONFIRMED)
        faces.append(next(there, None))
    return faces


def _look(
    rgb: Picture, place: _Place, look: float
) -> tuple[Picture, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A square about a place, black beyond the photo; its scale to px of the photo; its left top corner there."""
    height, width = rgb.shape[:2]
    side = max(1, round(look * float(place.points[SIDES].max())))
    left, top = (round(float(part) - side / 2) for part in place.points[MIDDLE])
    inside = rgb[
        max(0, top) : max(0, min(height, top + side)), max(0, left) : max(0, min(width, left + side))
    ]
    step = max(1, side // (2 * _LOOK_PX))
    inside = inside[::step, ::step]
    scale = side / _LOOK_PX
    seen = np.zeros((_LOOK_PX, _LOOK_PX, 3), np.uint8)
    first_y, first_x = (round(max(0, -start) / scale) for start in (top, left))
    rows = min(_LOOK_PX - first_y, round((min(height, top + side) - max(0, top)) / scale))
    columns = min(_LOOK_PX - first_x, round((min(width, left + side) - max(0, left)) / scale))
    if rows > 0 and columns > 0 and inside.size:
        seen[first_y : first_y + rows, first_x : first_x + columns] = resize_picture(inside, rows, columns)
    return seen, np.full(2, scale, np.float32), np.array([left, top], np.float32)


def _places(
    scores: Scores,
    places: Places,
    least: float,
    scale: npt.NDArray[np.float32],
    start: npt.NDArray[np.float32],
) -> list[_Place]:
    """Answers of at least that score, in px of the photo: (place + start) * scale."""
    found = []
    for index in np.flatnonzero(scores >= least):
        points = places[index].copy()
        points[[MIDDLE, *range(RIGHT_EYE, 8)]] += start
        found.append(_Place(float(scores[index]), points * scale))
    return found


def _apart(places: list[_Place]) -> list[_Place]:
    """One place for each group that shows one face, their mean weighted by score; the surest first."""
    left = sorted(places, key=lambda place: -place.score)
    apart = []
    while left:
        same = [place for place in left if _is_same(place.points, left[0].points)]
        near = [place for place in same if _overlap(place.points, left[0].points) >= _SAME]
        weights = np.array([place.score for place in near], np.float32)
        mean = np.tensordot(weights / weights.sum(), np.stack([place.points for place in near]), 1)
        apart.append(_Place(left[0].score, mean))
        left = [place for place in left if not any(place is each for each in same)]
    return apart


def _is_same(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    smaller = float(min(np.prod(one[SIDES]), np.prod(other[SIDES])))
    return _overlap(one, other) >= _SAME or _common(one, other) >= _WITHIN * smaller > 0


def _overlap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """The share of the union of two boxes that both cover."""
    common = _common(one, other)
    union = float(np.prod(one[SIDES]) + np.prod(other[SIDES])) - common
    return common / union if union > 0 else 0.0


def _common(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """The area that two boxes share."""
    low = np.maximum(one[MIDDLE] - one[SIDES] / 2, other[MIDDLE] - other[SIDES] / 2)
    high = np.minimum(one[MIDDLE] + one[SIDES] / 2, other[MIDDLE] + other[SIDES] / 2)
    return float(np.prod(np.maximum(high - low, 0)))


def _face(place: _Place, height: int, width: int) -> Face:
    relative = place.points / np.array([width, height], np.float32)
    low, high = relative[MIDDLE] - relative[SIDES] / 2, relative[MIDDLE] + relative[SIDES] / 2
    left, top, right, bottom = (float(part) for part in np.clip([*low, *high], 0, 1))
    (x1, y1), (x2, y2) = sorted(
        (float(x), float(y)) for x, y in np.clip(relative[[RIGHT_EYE, LEFT_EYE]], 0, 1)
    )
    return Face((left, top, right, bottom), ((x1, y1), (x2, y2)), place.score)


def _prominence(face: Face, aspect: float) -> float:
    """Width of the face, less the farther it is from the middle. aspect: height / width of the photo."""
    x, y = face.centre
    away = math.hypot(x - 0.5, (y - 0.5) * aspect)
    return face.width * math.exp(-0.5 * (away / _CENTRE_SIGMA) ** 2)


def _fewer_rows(rgb: Picture, wanted: int) -> Picture:
    """Every n-th row, of which twice as many stay as are wanted: the mean of half the pixels is as good, and sooner had."""
    return rgb[:: max(1, rgb.shape[0] // (2 * max(1, wanted)))]


def _check(rgb: Any) -> None:
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        raise ValueError(f"the picture is {kind}, expected a numpy array of sRGB uint8; convert it first")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(
            f"the picture has shape {rgb.shape}, expected (height, width, 3), both sides at least 1"
        )
