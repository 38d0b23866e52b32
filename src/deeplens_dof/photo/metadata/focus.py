"""Where the camera focused: regions in XMP (Metadata Working Group), or EXIF's SubjectArea."""

from __future__ import annotations

from deeplens_dof.photo.metadata import ifd
from deeplens_dof.photo.metadata.orientation import upright_point
from deeplens_dof.photo.metadata.xmp_facts import XmpFacts, finite_number

_REGION = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_SUBJECT_AREA, _WIDTH, _HEIGHT = 0x9214, 0xA002, 0xA003
_CENTRE = 0.02

Point = tuple[float, float]


def focus(said: XmpFacts, exif: bytes | None, orientation: int) -> Point | None:
    """(x, y), 0..1 of the upright picture, or None.

    A region of type Focus takes precedence over SubjectArea, and that over the largest face. orientation: how the stored
    picture, to which all of them refer, is turned.
    """
    stored = _focus_region(said, "Focus") or subject_area(exif) or _focus_region(said, "Face")
    return None if stored is None else upright_point(stored, orientation)


def subject_area(exif: bytes | None) -> Point | None:
    """The centre of EXIF's SubjectArea, 0..1 of the picture as stored.

    None when it is missing, outside the picture, or exactly at the centre, where phones put it when nobody chose a point.
    """
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return None
    tags = ifd.tags_of(exif, order).exif
    area = ifd.integers(tags.get(_SUBJECT_AREA), order)
    width, height = (ifd.integer(tags.get(tag), order) for tag in (_WIDTH, _HEIGHT))
    if len(area) < 2 or not width or not height:
        return None
    x, y = area[0] / width, area[1] / height
    return None if max(abs(x - 0.5), abs(y - 0.5)) < _CENTRE else _within(x, y)


def _focus_region(said: XmpFacts, kind: str) -> Point | None:
    """The centre of the largest region of a type."""
    largest, found = -1.0, None
    for entry in said.entries:
        if entry.get(f"{_REGION} Type") != kind:
            continue
        x, y, width, height = (finite_number(entry.get(f"{_AREA} {name}")) for name in ("x", "y", "w", "h"))
        area = (width or 0.0) * (height or 0.0)
        if x is not None and y is not None and area > largest and _within(x, y):
            largest, found = area, (x, y)
    return found


def _within(x: float, y: float) -> Point | None:
    return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None
