"""Gain maps in JPEG files: a second JPEG behind the photo, found by its own metadata, and written as Ultra HDR.

Android, "Ultra HDR Image Format" 1.1: the photo's XMP lists both files, and a CIPA multi-picture index (DC-007) names their
places.
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np

from deeplens_dof.photo.codecs.formats import FORMATS, SIGNATURES
from deeplens_dof.photo.codecs.header import damaged, header
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.gain_map import (
    ADOBE,
    APPLE,
    ISO_NAME,
    GainMap,
    GainMapError,
    Stops,
    apple_map,
    coding_in_iso,
    coding_in_xmp,
    encoded,
    properties_of,
)
from deeplens_dof.photo.limits import Limits
from deeplens_dof.photo.metadata import ifd, xmp
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.phone_depth.dynamic_depth import end_of_jpeg
from deeplens_dof.photo.phone_depth.range_map import BrokenDepthError

(_START,) = SIGNATURES["JPEG"]
_BIG_ENDIAN = next(mark for mark, order in ifd.BYTE_ORDERS.items() if order == ">")
_MARKS = (b"MPF\0", ADOBE.encode(), APPLE.encode(), ISO_NAME)
_LISTED = re.compile(rb"Semantic\s*=\s*[\"']GainMap[\"']")  # in the photo's XMP
_MOST_FILES = 8  # behind the photo
_ISO_LENGTHS = 4  # bytes: what is shorter holds a version alone
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_INDEX_BYTES = 4 + 8 + 2 + 3 * 12 + 4 + 2 * 16  # of a multi-picture segment with two entries
_PRIMARY = 0x030000
QUALITY = 95
RESERVED_XMP_BYTES = 1200  # of the photo's packet, for the list of files


def gain_map_in(
    data: bytes, size: tuple[int, int], orientation: int, exif: bytes | None, name: str, limits: Limits
) -> GainMap | None:
    """The gain map behind the photo of a JPEG file, upright; None when there is none.

    size: (width, height) of the photo as stored, in px; the map may not be larger. Raises GainMapError.
    """
    if not any(mark in data for mark in _MARKS):
        return None
    try:
        at = end_of_jpeg(data)
        is_listed = _LISTED.search(data, 0, at) is not None
        for _ in range(_MOST_FILES):
            at = data.find(_START, at)
            if at < 0:
                break
            found = _gain_map(data[at:], size, orientation, exif, limits)
            if found is not None:
                return found
            at += end_of_jpeg(data[at:])
    except BrokenDepthError:  # a file whose end is not marked: what lies behind is not known
        return None
    except PhotoError as problem:
        raise GainMapError(
            f"a gain map that cannot be read: {str(problem).removeprefix(f'{name} ')}"
        ) from problem
    if is_listed:
        raise GainMapError("a gain map that does not say how bright it is, or is not there")
    return None


def _gain_map(
    data: bytes, size: tuple[int, int], orientation: int, exif: bytes | None, limits: Limits
) -> GainMap | None:
    """The map that a JPEG file is; None for another picture."""
    head = header(data, FORMATS["JPEG"], "its picture")
    image = head.image
    assert image is not None  # as JPEG is opened by Pillow
    packet = head.info.get("xmp")
    iso = [
        body[len(ISO_NAME) :]
        for marker, body in getattr(image, "applist", ())
        if marker == "APP2" and body.startswith(ISO_NAME) and len(body) > len(ISO_NAME) + _ISO_LENGTHS
    ]
    coding = coding_in_iso(iso[0]) if iso else coding_in_xmp(packet)
    if coding is None and not (packet and APPLE.encode() in packet):
        return None
    limits.check_picture("its picture", *head.size)
    if head.size[0] * head.size[1] > size[0] * size[1]:
        raise GainMapError("a gain map larger than the photo itself")
    try:
        image.load()
        samples = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except Exception as problem:  # decoders of damaged files raise anything
        raise damaged("its picture", FORMATS["JPEG"], problem) from problem
    codes: Stops = upright(np.atleast_3d(samples), orientation).astype(np.float32) / np.float32(255)
    return apple_map(codes[..., :1], packet, exif) if coding is None else coding.decoded(codes)


def as_ultra_hdr(packet: bytes | None, gain: GainMap) -> tuple[bytes, bytes, bytes]:
    """The photo's XMP packet with the list of both files, an index segment to be filled in, and the map's own file."""
    from PIL import Image

    codes, coding = encoded(gain)
    own = xmp.with_properties(None, [properties_of(coding)], {"hdrgm": ADOBE})
    file = io.BytesIO()
    picture = Image.fromarray(codes[..., 0] if codes.shape[2] == 1 else codes)
    picture.save(file, "JPEG", quality=QUALITY, subsampling="4:4:4", xmp=own)
    base = packet if packet is not None else xmp.with_properties(None, [], {})
    place = xmp.scanned(base).rdf_end
    if place is None:
        base = xmp.with_properties(None, [], {})
        place = xmp.scanned(base).rdf_end
    assert place is not None
    listed = _list_of(len(file.getvalue()), xmp.scanned(base).about)
    segment = b"\xff\xe2" + (2 + _INDEX_BYTES).to_bytes(2, "big") + b"MPF\0" + bytes(_INDEX_BYTES - 4)
    return xmp.edited(base, [(place, place, listed)]), segment, file.getvalue()


def _list_of(length: int, about: str) -> bytes:
    subject = about.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    items = '<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/jpeg" Item:Semantic="Primary"/></rdf:li>'
    items += (
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/jpeg" Item:Semantic="GainMap" '
        f'Item:Length="{length}"/></rdf:li>'
    )
    return (
        f'<rdf:Description xmlns:rdf="{xmp.RDF}" rdf:about="{subject}" xmlns:hdrgm="{ADOBE}" '
        f'xmlns:Container="{_CONTAINER}" xmlns:Item="{_CONTAINER}item/" hdrgm:Version="1.0">'
        f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory></rdf:Description>"
    ).encode()


def joined(photo: bytes, gain_file: bytes) -> bytes:
    """Both files in one, the photo's empty index filled in. Raises ValueError when it holds none."""
    at = photo.find(b"MPF\0" + bytes(_INDEX_BYTES - 4))
    if at < 0:
        raise ValueError("the photo has no index of pictures")
    start = at + 4  # offsets count from here
    entries = struct.pack(">III HH", _PRIMARY, len(photo), 0, 0, 0)
    entries += struct.pack(">III HH", 0, len(gain_file), len(photo) - start, 0, 0)
    index = _BIG_ENDIAN + struct.pack(">IH", 8, 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    index += struct.pack(">HHIII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4, 0) + entries
    return photo[:start] + index + photo[start + len(index) :] + gain_file
