"""Removal of the location: the GPS directory of EXIF and the GPS properties of XMP."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

from deeplens_dof.photo.metadata import ifd, xmp
from deeplens_dof.photo.phone_depth import gdepth
from deeplens_dof.photo.photo import Photo

_XMP_ATTRIBUTE = re.compile(rb"""\s[\w.-]+:GPS\w*\s*=\s*("[^"]*"|'[^']*')""")
_XMP_ELEMENT = re.compile(rb"<([\w.-]+:GPS\w*)(\s[^>]*)?(/>|>.*?</\1\s*>)", re.DOTALL)
_GPS_POINTER = 0x8825


def without_gps(photo: Photo) -> Photo:
    """The photo without its location; everything else stays byte for byte.

    An embedded original is removed, because it has a location of its own. XMP that still mentions GPS is removed completely.
    """
    depth = None if photo.depth is None else replace(photo.depth, original=None)
    packet = photo.xmp
    if packet is not None and gdepth.IMAGE_NAMESPACE.encode() in packet:
        packet = xmp.without(packet, {gdepth.IMAGE_NAMESPACE})
    return replace(
        photo,
        exif=_exif_without(photo.exif),
        xmp=_xmp_without(packet),
        depth=depth,
        file=None,
        annotations=photo.annotations.without_place(),
    )


def _exif_without(exif: bytes | None) -> bytes | None:
    """The block with its GPS directory blanked and the pointer removed from IFD0."""
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return exif
    start = ifd.first_offset(exif, order)
    ifd0 = ifd.directory_at(exif, order, start)
    if _GPS_POINTER not in ifd0:
        return exif
    patched = bytearray(exif)
    at = ifd.integer(ifd0[_GPS_POINTER], order)
    if at is not None:
        for entry in ifd.directory_at(exif, order, at).values():
            patched[entry.offset : entry.offset + len(entry.value)] = bytes(len(entry.value))
        if 8 <= at <= len(exif) - 2:
            (count,) = struct.unpack_from(f"{order}H", exif, at)
            size = min(6 + 12 * count, len(exif) - at)
            patched[at : at + size] = bytes(size)
    _take_out(patched, order, start, _GPS_POINTER)
    return bytes(patched)


def _take_out(block: bytearray, order: str, directory: int, tag: int) -> None:
    """Removes a field; those after it, and the link to the next directory, move up."""
    (count,) = struct.unpack_from(f"{order}H", block, directory)
    end = min(directory + 2 + 12 * count + 4, len(block))
    for number in range(count):
        at = directory + 2 + 12 * number
        if struct.unpack_from(f"{order}H", block, at)[0] == tag:
            block[at : end - 12] = block[at + 12 : end]
            block[end - 12 : end] = bytes(12)
            struct.pack_into(f"{order}H", block, directory, count - 1)
            return


def _xmp_without(packet: bytes | None) -> bytes | None:
    if packet is None or b":GPS" not in packet:
        return packet
    stripped = _XMP_ELEMENT.sub(b"", _XMP_ATTRIBUTE.sub(b"", packet))
    return None if b":GPS" in stripped else stripped
