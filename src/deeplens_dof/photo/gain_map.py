"""HDR gain maps: by how much each pixel of a photo is brighter on an HDR screen, beside the photo for all others.

    HDR + offset_hdr = (SDR + offset_sdr) * 2^stops

in linear light of the photo's primaries (Adobe, "Gain Map Specification" 1.0; ISO 21496-1; Android, "Ultra HDR").
Apple's map of earlier iPhones is 1 + (headroom - 1) * code without offsets, its codes in sRGB's curve (Apple, "Applying Apple
HDR effect to your photos").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.photo.metadata import ifd
from deeplens_dof.photo.metadata.xmp import PacketError
from deeplens_dof.photo.metadata.xmp_facts import finite_number, xmp_facts
from deeplens_dof.photo.metadata.xmp_tree import parse_packet

ADOBE = "http://ns.adobe.com/hdr-gain-map/1.0/"
APPLE = "http://ns.apple.com/HDRGainMap/1.0/"
APPLE_TYPE = "urn:com:apple:photo:2020:aux:hdrgainmap"
ISO_NAME = b"urn:iso:std:iso:ts:21496:-1\0"
_MOST_STOPS = 20.0
_OFFSET = 1 / 64
_MAKER_NOTE, _APPLE_NOTE, _NOTE_START = 0x927C, b"Apple iOS\0", 14
_HDR_HEADROOM, _HDR_GAIN = 0x21, 0x30  # of Apple's maker note
_MULTICHANNEL, _BACKWARD, _COMMON = 1 << 7, 1 << 2, 1 << 3  # flags of ISO 21496-1

Stops = npt.NDArray[np.float32]


class GainMapError(ValueError):
    """A gain map that cannot be used: the end of a sentence that begins with the file's name."""


@dataclass(frozen=True, slots=True, eq=False)
class GainMap:
    """stops: float32 (h, w, 1 or 3), upright, of any size; offsets as above. capacity: log2 of how much brighter than white a
    screen must be for the map to begin, and to apply in full.
    """

    stops: Stops = field(repr=False)
    offset_sdr: float = _OFFSET
    offset_hdr: float = _OFFSET
    capacity: tuple[float, float] = (0.0, 1.0)

    def hdr(self, light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The light of the HDR picture, float32 (h, w, 3), of that of the photo at the map's size."""
        raised: npt.NDArray[np.float32] = (light + np.float32(self.offset_sdr)) * np.exp2(self.stops)
        np.maximum(raised - np.float32(self.offset_hdr), 0, out=raised)
        return raised


@dataclass(frozen=True, slots=True)
class Coding:
    """How codes 0..1 of a map stand for stops, by one value or three. base_is_hdr: the photo itself is the HDR one."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    gamma: tuple[float, ...] = (1.0,)
    offset_sdr: float = _OFFSET
    offset_hdr: float = _OFFSET
    capacity: tuple[float, float] = (0.0, 1.0)
    base_is_hdr: bool = False

    def decoded(self, codes: Stops) -> GainMap:
        """codes: float32 (h, w, 1 or 3), 0..1. Raises GainMapError for numbers that are none."""
        numbers = (*self.low, *self.high, self.offset_sdr, self.offset_hdr, *self.capacity)
        if not all(math.isfinite(value) and abs(value) <= _MOST_STOPS for value in numbers):
            raise GainMapError("a gain map of numbers beyond all measure")
        if (
            not all(0 < value <= _MOST_STOPS for value in self.gamma)
            or self.offset_sdr < 0
            or self.offset_hdr < 0
        ):
            raise GainMapError("a gain map of numbers beyond all measure")
        if not {len(self.low), len(self.high), len(self.gamma)} <= {1, 3}:
            raise GainMapError("a gain map with neither one number nor three for its channels")
        if self.base_is_hdr:
            raise GainMapError("a gain map that makes an HDR picture darker, which is not read")
        low, high, gamma = (np.array(values, np.float32) for values in (self.low, self.high, self.gamma))
        if max(map(len, (self.low, self.high, self.gamma))) > 1 and codes.shape[2] == 1:
            codes = np.repeat(codes, 3, axis=2)
        stops = low + (high - low) * codes ** (1 / gamma)
        return GainMap(stops.astype(np.float32), self.offset_sdr, self.offset_hdr, self.capacity)


def coding_in_xmp(packet: bytes | None) -> Coding | None:
    """What Adobe's properties in the packet of a gain map's own file say; None when there are none."""
    if packet is None or ADOBE.encode() not in packet:
        return None
    said = _numbers(packet)
    if "GainMapMax" not in said:
        return None

    def single(name: str, otherwise: float) -> float:
        return said.get(name, (otherwise,))[0]

    high = said["GainMapMax"]
    return Coding(
        said.get("GainMapMin", (0.0,)),
        high,
        said.get("Gamma", (1.0,)),
        single("OffsetSDR", _OFFSET),
        single("OffsetHDR", _OFFSET),
        (single("HDRCapacityMin", 0.0), single("HDRCapacityMax", max(high))),
        xmp_facts(packet).texts.get(f"{ADOBE} BaseRenditionIsHDR", "").lower() == "true",
    )


def _numbers(packet: bytes) -> dict[str, tuple[float, ...]]:
    """Local name -> one number, or those of a list, of Adobe's properties. Empty for a packet that is no XML."""
    found: dict[str, tuple[float, ...]] = {}
    try:
        nodes = list(parse_packet(packet.strip(b"\0")).all())
    except PacketError:
        return found
    for node in nodes:
        texts: dict[str, tuple[str, ...]] = {name: (value,) for name, value in node.attributes.items()}
        inside = tuple(below.text for below in node.all() if below.name.endswith(" li"))
        texts[node.name] = inside or (node.text,)
        for name, values in texts.items():
            namespace, _, local = name.rpartition(" ")
            numbers = [finite_number(value) for value in values]
            known = tuple(number for number in numbers if number is not None)
            if namespace == ADOBE and known and len(known) == len(numbers):
                found.setdefault(local, known)
    return found


def coding_in_iso(block: bytes) -> Coding:
    """The metadata of ISO 21496-1, annex C. Raises GainMapError when it is cut off or of another version."""
    try:
        if struct.unpack_from(">H", block)[0] != 0:
            raise GainMapError("a gain map of a later version of ISO 21496-1")
        flags = block[4]
        channels = 3 if flags & _MULTICHANNEL else 1
        kinds = "II" + "iiIii" * channels
        if flags & _COMMON:
            (below,) = struct.unpack_from(">I", block, 5)
            values = [above / below for above in struct.unpack_from(f">{kinds}", block, 9)]
        else:
            pairs = struct.unpack_from(">" + "".join(f"{kind}I" for kind in kinds), block, 5)
            values = [above / below for above, below in zip(pairs[::2], pairs[1::2], strict=True)]
    except (struct.error, IndexError, ZeroDivisionError) as problem:
        raise GainMapError("a gain map whose metadata is cut off") from problem
    base, alternate = values[:2]
    low, high, gamma, offset_sdr, offset_hdr = (tuple(values[2 + i :: 5]) for i in range(5))
    darker = bool(flags & _BACKWARD) or base > alternate
    return Coding(low, high, gamma, offset_sdr[0], offset_hdr[0], (base, alternate), darker)


def apple_map(codes: Stops, packet: bytes | None, exif: bytes | None) -> GainMap:
    """Apple's map, codes float32 (h, w, 1) 0..1. Raises GainMapError when the file does not say how bright it is."""
    headroom = xmp_facts(packet).number(APPLE, "HDRGainMapHeadroom") or _headroom_in(exif)
    if headroom is None or not 1 < headroom <= 2**_MOST_STOPS:
        raise GainMapError("a gain map without the headroom that it was made for")
    gain = 1 + (headroom - 1) * srgb_to_linear(codes.astype(np.float32))
    return GainMap(np.log2(gain).astype(np.float32), 0.0, 0.0, (0.0, math.log2(headroom)))


def _headroom_in(exif: bytes | None) -> float | None:
    """The headroom of Apple's maker note."""
    order = ifd.byte_order(exif or b"")
    note = None if exif is None or order is None else ifd.tags_of(exif, order).exif.get(_MAKER_NOTE)
    if note is None or not note.value.startswith(_APPLE_NOTE):
        return None
    tags = ifd.directory_at(note.value, ">", _NOTE_START)
    level, gain = (ifd.number(tags.get(tag), ">") for tag in (_HDR_HEADROOM, _HDR_GAIN))
    if level is None or gain is None:
        return None
    if level < 1:
        stops = -20.0 * gain + 1.8 if gain <= 0.01 else -0.101 * gain + 1.601
    else:
        stops = -70.0 * gain + 3.0 if gain <= 0.01 else -0.303 * gain + 2.303
    return float(2 ** max(stops, 0.0))


def encoded(gain: GainMap) -> tuple[npt.NDArray[np.uint8], Coding]:
    """8-bit codes (h, w, 1 or 3) of a map, and their coding."""
    low, high = float(gain.stops.min()), float(gain.stops.max())
    high = max(high, low + 1e-3)
    codes = np.rint((gain.stops - np.float32(low)) * np.float32(255 / (high - low))).astype(np.uint8)
    coding = Coding((low,), (high,), (1.0,), gain.offset_sdr, gain.offset_hdr, gain.capacity)
    return codes, coding


def properties_of(coding: Coding) -> dict[str, str]:
    """Adobe's properties of a gain map's own file, of a coding with one value each."""
    numbers: dict[str, Sequence[float]] = {
        "GainMapMin": coding.low,
        "GainMapMax": coding.high,
        "Gamma": coding.gamma,
        "OffsetSDR": (coding.offset_sdr,),
        "OffsetHDR": (coding.offset_hdr,),
        "HDRCapacityMin": coding.capacity[:1],
        "HDRCapacityMax": coding.capacity[1:],
    }
    texts = {f"hdrgm:{name}": f"{values[0]:.6g}" for name, values in numbers.items()}
    return {"hdrgm:Version": "1.0", **texts, "hdrgm:BaseRenditionIsHDR": "False"}


def blurred(
    gain: GainMap,
    sharp: npt.NDArray[np.float32],
    seen: npt.NDArray[np.float32],
    hdr_seen: npt.NDArray[np.float32],
) -> GainMap:
    """The map of a blurred photo, whose HDR picture is the sharp one's through the same lens.

    Args:
        gain: the map of the sharp photo.
        sharp: light of the sharp photo at the map's size, (h, w, 3), 0..1.
        seen: light of the blurred one, likewise.
        hdr_seen: `gain.hdr(sharp)` blurred.
    """
    offset_sdr, offset_hdr = gain.offset_sdr or _OFFSET, gain.offset_hdr or _OFFSET
    if gain.stops.shape[2] == 1:
        seen, hdr_seen, sharp = (light.mean(axis=2, keepdims=True) for light in (seen, hdr_seen, sharp))
    stops = np.log2((hdr_seen + np.float32(offset_hdr)) / (seen + np.float32(offset_sdr)))
    low, high = min(float(gain.stops.min()), 0.0), float(gain.stops.max())
    spread = np.clip(stops, low, high).astype(np.float32)
    return replace(gain, stops=spread, offset_sdr=offset_sdr, offset_hdr=offset_hdr)
