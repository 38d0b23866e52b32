"""JPEG (ITU-T T.81): the frame header, and pictures whose file ends too early.

libjpeg wants the end marker; a file that lacks nothing else holds the whole picture. Which rows a file still has is found
by decoding it twice into pictures of different colours: rows that differ were never decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata.annotations import Annotations, as_resources, checked_density, iptc_in

if TYPE_CHECKING:
    from PIL import Image

_SCAN, _END, _BARE = 0xDA, 0xD9, (0x01, *range(0xD0, 0xD8))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS, _HIERARCHICAL = (0xC3, 0xCB), (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
_PROGRESSIVE = (0xC2, 0xCA)
_PHOTOSHOP = b"Photoshop 3.0\0"
_LONGEST_RESOURCES_BYTES = 65_000  # of one segment
_PER_INCH = {1: 1.0, 2: 2.54}  # by the unit of a JFIF header
_LOOKED_AHEAD = bytes(8)  # libjpeg reads on behind the last bit that it needs
_ENDS = b"\xff\xd9"


class Rows(NamedTuple):
    """A picture decoded as far as its file goes. missing: how many of its rows, at the bottom, the file does not hold; None
    where scans of a progressive file are missing.
    """

    image: Image.Image
    missing: int | None


def check_frame(data: bytes, name: str) -> None:
    """Raises PhotoError for kinds of JPEG that libjpeg was not built for: 12 bits, lossless, hierarchical."""
    for marker, body in _segments(data):
        if marker in _FRAMES and body:
            if body[0] != 8:
                kind = f"a JPEG of {body[0]} bits a channel"
            elif marker in _LOSSLESS:
                kind = "a lossless JPEG"
            elif marker in _HIERARCHICAL:
                kind = "a hierarchical JPEG"
            else:
                return
            raise PhotoError(
                f"{name} is {kind}, which is not read, expected one of 8 bits; export it as TIFF or JPEG"
            )


def annotations_of(image: Any) -> Annotations:
    """Resolution, IPTC and comment of a JPEG that Pillow has opened."""
    across, down = image.info.get("jfif_density", (0, 0))
    per_inch = _PER_INCH.get(image.info.get("jfif_unit", 0), 0.0)
    resources = b"".join(
        body[len(_PHOTOSHOP) :]
        for marker, body in image.applist
        if marker == "APP13" and body.startswith(_PHOTOSHOP)
    )
    density = checked_density(across * per_inch, down * per_inch)
    return Annotations(density, iptc_in(resources), image.info.get("comment"))


def iptc_segments(iptc: bytes) -> bytes:
    """APP13 segments of Photoshop's image resources."""
    resources, segments = as_resources(iptc), list[bytes]()
    for at in range(0, len(resources), _LONGEST_RESOURCES_BYTES):
        body = _PHOTOSHOP + resources[at : at + _LONGEST_RESOURCES_BYTES]
        segments.append(b"\xff\xed" + (2 + len(body)).to_bytes(2, "big") + body)
    return b"".join(segments)


def decoded_to_its_end(data: bytes) -> Rows | None:
    """The picture of a file that ends too early, rows that it lacks in grey; None when nothing of it can be decoded."""
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        image = JpegImageFile(io.BytesIO(data + _LOOKED_AHEAD + _ENDS))
        image.load()
    except (OSError, SyntaxError, ValueError):
        return None
    if any(marker in _PROGRESSIVE for marker, _ in _segments(data)):
        return Rows(image, 0 if _all_scans_begun(data) else None)
    dark, light = (_into(data + _LOOKED_AHEAD, colour) for colour in (0, 255))
    rows = (np.asarray(dark) != np.asarray(light)).reshape(image.height, -1).any(axis=1)
    return Rows(image, int(rows.sum()))


def _into(data: bytes, colour: int) -> Image.Image:
    """The file decoded into a picture that is of this colour where it holds nothing."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(data))
    tile = image.tile[0]
    canvas = Image.new(image.mode, image.size, (colour,) * len(image.getbands()))
    decoder = Image._getdecoder(image.mode, tile.codec_name, tile.args, ())
    decoder.setimage(canvas.im, (0, 0, *image.size))
    try:
        decoder.decode(data)
    finally:
        decoder.cleanup()
    return canvas


def _all_scans_begun(data: bytes) -> bool:
    """Whether the last scan of a progressive file has begun: each component has come down to its last bit."""
    final: set[tuple[int, bool]] = set()
    components = 0
    for marker, body in _segments(data):
        if marker in _PROGRESSIVE and len(body) > 5:
            components = body[5]
        if marker == _SCAN and body and len(body) >= 4 + 2 * body[0]:
            first, _, bits = body[1 + 2 * body[0] :][:3]
            if bits & 15 == 0:
                final |= {(body[1 + 2 * i], first > 0) for i in range(body[0])}
    return components > 0 and len(final) == 2 * components


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of each segment, those behind the first scan too. Ends where the file does."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF, *_BARE):
            found = data.find(b"\xff", at + 1)  # coded light, or a fill byte
            if found < 0:
                return
            at = found
            continue
        marker = data[at + 1]
        if marker == _END:
            return
        length = max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
