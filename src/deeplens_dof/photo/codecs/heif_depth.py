"""Depth, matte and focus that a phone stored in a HEIC photo as auxiliary pictures.

The meaning of the depth codes is given by XMP (Apple's pixel data information: kind, range, accuracy) and by the SEI
message of the stream (ISO/IEC 23008-12: representation and range).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo.codecs.heif_samples import samples_of
from deeplens_dof.photo.codecs.isobmff import Item, Items
from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.metadata.focus import focus
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.metadata.xmp_facts import XmpFacts, finite_number, xmp_facts

Map = npt.NDArray[np.float32]

DEPTH_TYPES = (
    "urn:mpeg:hevc:2015:auxid:2",
    "urn:mpeg:avc:2015:auxid:2",
    "urn:mpeg:mpegB:cicp:systems:auxiliary:depth",
)
_PORTRAIT = "urn:com:apple:photo:2018:aux:portraiteffectsmatte"
_PERSON = ("skinmatte", "hairmatte", "teethmatte", "glassesmatte")  # the ends of Apple's URNs
_PIXELS = "http://ns.apple.com/pixeldatainfo/1.0/"
_DEPTH = "http://ns.apple.com/depthData/1.0/"
_EFFECT = "http://ns.apple.com/depthBlurEffect/1.0/"
_METRES = {int.from_bytes(code, "big") for code in (b"hdep", b"fdep")}  # Core Video's pixel formats of depth
_INVERSE_Z, _DISPARITY, _LINEAR_Z = 0, 1, 2
_APERTURES = (0.7, 64.0)
_MOST_XMP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Meaning:
    """Meaning of the codes 0..1: the kind (disparity, inverse depth or depth), its range, and whether it is in metres."""

    representation: int
    low: float | None
    high: float | None
    metres: bool

    @property
    def range(self) -> tuple[float, float] | None:
        """(low, high), or None when it is missing or empty."""
        low, high = self.low, self.high
        return None if low is None or high is None or not 0 <= low < high < math.inf else (low, high)


class _Problem(Exception):
    """Why the depth of a file is not used: the end of a sentence that begins with the file's name."""


def depth_of(
    items: Items,
    image: Any,
    orientation: int,
    shape: tuple[int, ...],
    exif: bytes | None,
    packet: bytes | None,
) -> tuple[EmbeddedDepth | None, str | None]:
    """The depth of the primary picture, or a sentence that says why it is not used; (None, None) when there is none.

    image: pillow-heif's primary picture. orientation: 1..8, of the photo as stored. shape: (height, width) of the photo.
    """
    primary = items.item(items.primary)
    auxiliaries = items.referring("auxl", primary.id)
    depths = [picture for picture in auxiliaries if picture.auxiliary_type in DEPTH_TYPES]
    if not depths:
        return None, None
    item = depths[0]
    try:
        said = xmp_facts(items.xmp_of(item, _MOST_XMP_BYTES))
        listed = image.info.get("depth_images") or []
        if not listed:
            raise _Problem("libheif does not find")
        codes = _codes(listed[0], item, orientation, shape, "depth")
        stated = listed[0].info.get("metadata") or {}
        inverse_depth = inverse(codes, meaning(said, stated))
    except _Problem as problem:
        return None, _sentence(items.name, str(problem))
    except Exception as problem:  # decoders of damaged files raise anything
        return None, _sentence(items.name, f"is damaged ({str(problem).strip() or type(problem).__name__})")
    matte = _matte(image, auxiliaries, orientation, shape)
    aperture = said.number(_EFFECT, "SimulatedAperture")
    return EmbeddedDepth(
        inverse_depth,
        "HEIC depth image",
        matte=matte,
        f_number=aperture if aperture and _APERTURES[0] <= aperture <= _APERTURES[1] else None,
        focus=focus(xmp_facts(packet), exif, orientation),
    ), None


def _sentence(name: str, why: str) -> str:
    return f"{name} holds depth that {why}; say auto, predict or the name of a depth file"


def meaning(said: XmpFacts, stated: dict[str, Any]) -> Meaning:
    """said: XMP of the depth picture. stated: its SEI message, by pillow-heif's names. XMP takes precedence."""
    representation = int(stated.get("representation_type", _DISPARITY))
    low, high = said.number(_PIXELS, "FloatMinValue"), said.number(_PIXELS, "FloatMaxValue")
    if low is not None and high is not None:
        kind = said.texts.get(f"{_PIXELS} AuxiliaryImageType", "").lower()
        pixel_format = finite_number(said.texts.get(f"{_PIXELS} NativeFormat"))
        representation = _LINEAR_Z if kind == "depth" or pixel_format in _METRES else _DISPARITY
    elif representation == _DISPARITY:
        low, high = _finite(stated.get("d_min")), _finite(stated.get("d_max"))
    else:
        low, high = _finite(stated.get("z_near")), _finite(stated.get("z_far"))
        if representation == _INVERSE_Z and low and high:
            low, high = 1 / high, 1 / low
    absolute = said.texts.get(f"{_DEPTH} Accuracy", "").lower() == "absolute"
    return Meaning(representation, low, high, absolute)


def inverse(codes: Map, meant: Meaning) -> InverseDepth:
    """Inverse depth (h, w) of codes 0..1: 1/m where the file gives a metric range, else relative.

    Raises _Problem for codes that carry no depth.
    """
    between = meant.range
    if not np.ptp(codes) > 0:
        raise _Problem("is the same everywhere and tells nothing")
    if meant.representation not in (_INVERSE_Z, _DISPARITY, _LINEAR_Z):
        raise _Problem(
            f"is of representation {meant.representation}, expected disparity, inverse depth or depth"
        )
    values = codes if between is None else _spread(codes, *between)
    if meant.representation == _LINEAR_Z:
        if between is None or not between[0] > 0:
            raise _Problem(f"lies between {meant.low} and {meant.high}, expected two distances above 0")
        values = np.reciprocal(values)
    if between is not None and meant.metres:
        return InverseDepth(values, "1/m")
    return InverseDepth((values - values.min()) / np.ptp(values), "relative")


def _spread(codes: Map, low: float, high: float) -> Map:
    return (low + codes.astype(np.float64) * (high - low)).astype(np.float32)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _codes(auxiliary: Any, item: Item, orientation: int, shape: tuple[int, ...], what: str) -> Map:
    """An auxiliary picture as codes 0..1, (h, w), upright. Raises _Problem when it is larger than the photo."""
    height, width = sorted(shape[:2])
    for size in (auxiliary.size, item.size or (0, 0)):
        if min(size) > height or max(size) > width or min(auxiliary.size) < 1:
            raise _Problem(f"has a {what} picture of {size[0]} x {size[1]} px, larger than the photo itself")
    samples, _, _ = samples_of(auxiliary)
    codes = samples[..., 0].astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    return codes if item.says_orientation else upright(codes, orientation)


def _matte(image: Any, auxiliaries: list[Item], orientation: int, shape: tuple[int, ...]) -> Map | None:
    """The portrait matte, or skin, hair, teeth and glasses combined; None when they are missing or damaged."""
    portrait = [picture for picture in auxiliaries if picture.auxiliary_type == _PORTRAIT]
    parts = portrait[:1] or [picture for picture in auxiliaries if picture.auxiliary_type.endswith(_PERSON)]
    matte: Map | None = None
    for item in parts:
        try:
            part = _codes(image.get_aux_image(item.id), item, orientation, shape, "matte")
        except Exception:  # a damaged matte is a photo without one: decoders raise anything
            return None
        if matte is None or matte.shape == part.shape:
            matte = part if matte is None else np.maximum(matte, part)
    return matte
