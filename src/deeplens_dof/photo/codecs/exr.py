"""OpenEXR: scene-linear light as 16- or 32-bit floats (OpenEXR file layout, openexr.com).

The header is parsed here, so that sizes are known before anything is decoded; OpenImageIO decodes the pixels. As the
format defines it, colour is associated with alpha, that is, premultiplied.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.bit_depth import alpha_as
from deeplens_dof.photo.codecs.formats import SIGNATURES
from deeplens_dof.photo.codecs.oiio import stored_bytes, stored_samples
from deeplens_dof.photo.contents import Contents, Decoded
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata import exif, icc, ifd
from deeplens_dof.photo.metadata.annotations import Density, checked_density
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.metadata.primaries import REC709, colorants_of, to_rec709
from deeplens_dof.photo.tone import decoded as light_of

_DEEP = 0x800  # flag: samples of several depths a pixel
_MOST_ATTRIBUTES, _LONGEST_NAME = 2000, 255
_HALF, _LARGEST_HALF = 1, 65504.0
_DATE = 0x0132
PixelWindow = tuple[int, int, int, int]  # left, top, right, bottom, the last two included


class ExrHeader(NamedTuple):
    """Header of the first part. channels: name -> type, 1 is half. xmp: a packet. orientation: 1..8."""

    data_window: PixelWindow
    display_window: PixelWindow
    channels: dict[str, int]
    chromaticities: tuple[float, ...] | None
    xmp: bytes | None
    orientation: int
    deep: bool
    density: Density | None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px to reserve for decoding: the display window, or the data window if that is larger."""
        (w, h), (data_w, data_h) = _extent(self.display_window), _extent(self.data_window)
        return max(w, data_w), max(h, data_h)

    @property
    def half(self) -> bool:
        """Whether all colour channels are 16-bit floats."""
        return all(self.channels[name] == _HALF for name in picture_channels(tuple(self.channels)).values())


def read_exr_header(data: bytes) -> ExrHeader:
    """The header of a file. Raises ValueError when it is cut off or a required attribute is missing."""
    if not data.startswith(SIGNATURES["EXR"]) or len(data) < 8:
        raise ValueError("it does not start as an EXR does")
    (version,) = struct.unpack_from("<I", data, 4)
    found = _attributes(data, 8)
    kind = found.get("type", ("", b""))[1]
    return ExrHeader(
        _window(found, "dataWindow"),
        _window(found, "displayWindow"),
        _channels(found.get("channels", ("", b""))[1]),
        _chromaticities(found.get("chromaticities", ("", b""))[1]),
        next((value for name, (_, value) in found.items() if name.lower() == "xmp"), None),
        _orientation(found.get("Orientation", ("", b""))[1]),
        bool(version & _DEEP) or kind.startswith(b"deep"),
        _density(found.get("xDensity", ("", b""))[1]),
    )


def picture_channels(names: tuple[str, ...]) -> dict[str, str]:
    """Role -> channel name of the picture's "R", "G", "B" or "Y", and "A" if there is one.

    Channels without a layer come first, then the first layer that has them. Raises ValueError when there are none.
    """
    layers = dict.fromkeys(["", *(name.rpartition(".")[0] for name in names)])
    for wanted in (("R", "G", "B"), ("Y",)):
        for layer in layers:
            there = {n.rpartition(".")[2].upper(): n for n in names if n.rpartition(".")[0] == layer}
            if all(role in there for role in wanted) and not {"RY", "BY"} & set(there):
                return {role: there[role] for role in (*wanted, "A") if role in there}
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise ValueError(f"its channels are {shown or 'none'}, expected R, G and B, or Y")


def decode_exr(data: bytes, name: str) -> Decoded:
    """float32 linear light in Rec. 709 primaries, alpha 0..1.

    Raises PhotoError for channels that are no picture, ValueError for a damaged file.
    """
    head = read_exr_header(data)
    if head.deep:
        raise PhotoError(f"{name} is an EXR of deep samples, expected one colour a pixel; flatten it first")
    stored = stored_samples(data, ".exr", "float", _span)
    place = {role: stored.channels.index(name) for role, name in picture_channels(stored.channels).items()}
    order = list(place.values())
    samples: npt.NDArray[np.float32] = stored.samples
    if order != list(range(samples.shape[2])):
        samples = samples[..., order]
    unknown = int((~np.isfinite(samples)).any(axis=2).sum())
    if unknown:
        raise PhotoError(
            f"{name} has {unknown:,} pixels with NaN or infinity, expected finite light everywhere; fill them first"
        )
    samples = upright(_in_display(samples, head), head.orientation)
    light = np.ascontiguousarray(samples[..., :3] if "R" in place else np.repeat(samples[..., :1], 3, axis=2))
    alpha = np.clip(np.ascontiguousarray(samples[..., -1]), 0, 1) if "A" in place else None
    colorants = colorants_of(head.chromaticities) if head.chromaticities else None
    return Decoded(light if colorants is None else to_rec709(light, colorants), alpha)


def exr_bytes(contents: Contents) -> bytes:
    """Half floats if the photo's file had them, else floats; Rec. 709 primaries, losslessly compressed, without EXIF.

    Raises OSError when OpenImageIO cannot write it.
    """
    light, alpha = _light(contents)
    half = contents.compression.half
    samples = light if alpha is None else np.dstack((light, alpha))
    if half:
        samples = np.clip(samples, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
    attributes: dict[str, Any] = {
        "compression": "zip",
        "chromaticities": ("float[8]", REC709),
        "DateTime": _date(contents.exif),  # else it would be that of writing, and no two files alike
    }
    if contents.annotations.density is not None:
        attributes["xDensity"] = contents.annotations.density[0]
    if contents.xmp is not None:
        attributes["XMP"] = contents.xmp.decode("utf-8", "replace")
    channels = ("R", "G", "B") if alpha is None else ("R", "G", "B", "A")
    return stored_bytes(samples, ".exr", "half" if half else "float", channels, attributes)


def _span(names: tuple[str, ...]) -> tuple[int, int]:
    """Index of the picture's first channel, and of the one after its last."""
    used = [names.index(name) for name in picture_channels(names).values()]
    return min(used), max(used) + 1


def _light(contents: Contents) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Premultiplied light in Rec. 709 primaries, and alpha 0..1."""
    alpha = None if contents.alpha is None else alpha_as(contents.alpha, np.float32)
    if contents.pixels.dtype.kind == "f":
        return contents.pixels, alpha
    found = icc.profile(contents.icc) if contents.icc else None
    light = light_of(contents.pixels, None if found is None else found.curves)
    if found is not None and found.colorants is not None:
        light = to_rec709(light, found.colorants)
    return (light if alpha is None else light * alpha[..., None]), alpha


def _date(block: bytes | None) -> str:
    order = ifd.byte_order(block or b"")
    known = exif.descriptive_tags(block)[1].ifd0 if order else {}
    return ifd.text(known.get(_DATE)) or "0000:00:00 00:00:00"


def _in_display(pixels: npt.NDArray[Any], head: ExrHeader) -> npt.NDArray[Any]:
    """Pixels of the data window placed in the display window: cropped outside it, 0 where it has no pixels."""
    if head.data_window == head.display_window:
        return pixels
    width, height = _extent(head.display_window)
    out = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    left, top = (head.data_window[i] - head.display_window[i] for i in (0, 1))
    rows, columns = len(pixels), pixels.shape[1]
    y0, y1 = max(top, 0), min(top + rows, height)
    x0, x1 = max(left, 0), min(left + columns, width)
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def _extent(window: PixelWindow) -> tuple[int, int]:
    left, top, right, bottom = window
    return right - left + 1, bottom - top + 1


def _attributes(data: bytes, at: int) -> dict[str, tuple[str, bytes]]:
    """name -> (type, value) of the header that starts at `at`."""
    found: dict[str, tuple[str, bytes]] = {}
    for _ in range(_MOST_ATTRIBUTES):
        if data[at : at + 1] == b"\0":
            return found
        name, at = _text(data, at)
        kind, at = _text(data, at)
        if at + 4 > len(data):
            break
        (length,) = struct.unpack_from("<i", data, at)
        at += 4
        if not 0 <= length <= len(data) - at:
            break
        found[name] = kind, data[at : at + length]
        at += length
    raise ValueError("its header is cut off")


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + _LONGEST_NAME + 1)
    if end < 0:
        raise ValueError("its header is cut off")
    return data[at:end].decode("utf-8", "replace"), end + 1


def _window(found: Mapping[str, tuple[str, bytes]], name: str) -> PixelWindow:
    value = found.get(name, ("", b""))[1]
    if len(value) != 16:
        raise ValueError(f"its header has no {name}")
    left, top, right, bottom = struct.unpack("<4i", value)
    return left, top, right, bottom


def _channels(value: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    at = 0
    while value[at : at + 1] not in (b"", b"\0"):
        name, at = _text(value, at)
        if at + 16 > len(value):
            raise ValueError("its list of channels is cut off")
        found[name] = struct.unpack_from("<i", value, at)[0]
        at += 16
    return found


def _orientation(value: bytes) -> int:
    """The attribute that OpenImageIO's tools write; the format defines none."""
    found = struct.unpack("<i", value)[0] if len(value) == 4 else 1
    return found if 1 <= found <= 8 else 1


def _density(value: bytes) -> Density | None:
    """Pixels per inch, the same in both directions."""
    found = struct.unpack("<f", value)[0] if len(value) == 4 else 0.0
    return checked_density(found, found)


def _chromaticities(value: bytes) -> tuple[float, ...] | None:
    if len(value) != 32:
        return None
    found = struct.unpack("<8f", value)
    return found if all(math.isfinite(value) for value in found) else None
