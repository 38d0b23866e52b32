"""Depth in Google's formats: a grey picture of codes between a near and a far distance; far is bright.

A code c of 0..1 is RangeLinear d = near + c (far - near), or RangeInverse 1/d = 1/near - c (1/near - 1/far)
(developers.google.com/depthmap-metadata; Dynamic Depth 1.0, "Depth Map").
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.aspect import aspects_differ
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo.codecs.formats import by_content
from deeplens_dof.photo.codecs.header import damaged, header
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.metadata.xmp_facts import finite_number

FloatArray = npt.NDArray[np.float32]
_KINDS: dict[str, Literal["RangeInverse", "RangeLinear"]] = {
    "rangeinverse": "RangeInverse",
    "rangelinear": "RangeLinear",
}
_METRES = {"m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0}
_METRES |= {"mm": 1e-3, "millimeters": 1e-3, "millimetres": 1e-3}


class BrokenDepthError(ValueError):
    """Embedded depth that cannot be used. The message is one sentence that starts with its container."""


@dataclass(frozen=True, slots=True, eq=False)
class RangeMap:
    """codes: (h, w) 0..1, upright. near, far: distances in metres, or in an unknown unit."""

    codes: FloatArray = field(repr=False)
    kind: Literal["RangeInverse", "RangeLinear"]
    near: float
    far: float
    in_metres: bool

    def inverse(self) -> FloatArray:
        """float32 (h, w): inverse distance, in the inverse of its unit."""
        if self.kind == "RangeInverse":
            spread = 1 / self.near - 1 / self.far
            return (1 / self.near - self.codes * spread).astype(np.float32)
        return (1 / (self.near + self.codes * (self.far - self.near))).astype(np.float32)

    def inverse_depth(self) -> InverseDepth:
        """In 1/m where the unit is known; else relative, with 1 at `near` and 0 at `far`."""
        if self.in_metres:
            return InverseDepth(self.inverse(), "1/m")
        if self.kind == "RangeInverse":
            return InverseDepth(1 - self.codes, "relative")
        far = 1 / self.far
        relative = (self.inverse() - far) / (1 / self.near - far)
        return InverseDepth(np.clip(relative, 0, 1).astype(np.float32), "relative")


def range_map(
    holder: str, facts: Mapping[str, str], picture: bytes, size: tuple[int, int], orientation: int
) -> RangeMap:
    """The range map of a depth picture, turned upright.

    Args:
        holder: its container, for messages.
        facts: Format, Near, Far and Units as text.
        picture: a JPEG or PNG.
        size: (width, height) of the photo as stored, in px; the map may not have more pixels.
        orientation: EXIF orientation of the photo.

    Raises:
        BrokenDepthError: the depth cannot be used.
    """
    kind = _KINDS.get(facts.get("Format", "RangeInverse").strip().lower())
    near, far = finite_number(facts.get("Near")), finite_number(facts.get("Far"))
    if kind is None or near is None or far is None or not 0 < near < far:
        raise BrokenDepthError(
            f"{holder} of format {as_property(facts.get('Format'))} from {as_property(facts.get('Near'))} to "
            f"{as_property(facts.get('Far'))}, expected RangeInverse or RangeLinear with 0 < Near < Far"
        )
    metres = _METRES.get(facts.get("Units", "").strip().lower())
    scale = metres or 1.0
    near, far = near * scale, far * scale
    if not (near > 1e-12 and far < 1e12 and far / near > 1 + 1e-9):
        raise BrokenDepthError(
            f"{holder} from {near:g} to {far:g}, expected distances that can be told apart"
        )
    codes = upright(picture_codes(holder, picture, size), orientation)
    return RangeMap(codes, kind, near, far, metres is not None)


def picture_codes(holder: str, picture: bytes, size: tuple[int, int]) -> FloatArray:
    """A grey picture as codes 0..1, float32 (h, w), as stored. Its size is checked before a pixel is decoded.

    Raises BrokenDepthError.
    """
    name = f"{holder} whose picture"
    try:
        form = by_content(picture, name)
        if form.name not in ("JPEG", "PNG"):
            raise BrokenDepthError(f"{name} is {form.name}, expected JPEG or PNG")
        head = header(picture, form, name)
    except PhotoError as problem:
        raise BrokenDepthError(str(problem)) from problem
    (columns, rows), (width, height) = head.size, size
    if not 0 < columns * rows <= width * height:
        raise BrokenDepthError(
            f"{name} is {columns:,} x {rows:,} px, expected at most as many pixels as the photo's "
            f"{width:,} x {height:,}"
        )
    if aspects_differ((height, width), (rows, columns)):
        raise BrokenDepthError(
            f"{name} is {columns:,} x {rows:,} px and the photo {width:,} x {height:,}: their aspects differ by more "
            "than 2 %, so they do not show the same frame"
        )
    image = head.image
    assert image is not None  # as JPEG and PNG are opened by Pillow
    try:
        image.load()
        deep = image.mode.startswith("I")
        stored = np.asarray(image if deep else image.convert("L"), np.float32)
    except Exception as problem:  # decoders of damaged files raise anything
        raise BrokenDepthError(str(damaged(name, form, problem))) from problem
    codes: FloatArray = np.clip(stored / np.float32(65535 if deep else 255), 0, 1)
    return codes


def from_base64(holder: str, text: str) -> bytes:
    """The decoded bytes; white space is ignored. Raises BrokenDepthError when the text is not base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise BrokenDepthError(f"{holder} that is not whole base64 ({problem})") from problem


def as_property(text: str | None) -> str:
    """A property as quoted in a message; numbers without quotes."""
    if text is None:
        return "nothing"
    if finite_number(text) is not None and len(text) <= 40:
        return text.strip()
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
