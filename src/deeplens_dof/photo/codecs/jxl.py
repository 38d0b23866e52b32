"""JPEG XL (ISO/IEC 18181): size from the first bits, metadata from the boxes, pixels through OpenImageIO.

OpenImageIO decodes a file when it opens it, so the size is parsed here (part 1, annex D). It writes no metadata that it
can read back, so boxes are added here as well (part 2). Orientation is stored in the codestream and applied by the
decoder; that in EXIF is ignored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deeplens_dof.photo.bit_depth import as_codes
from deeplens_dof.photo.codecs.boxes import box, boxes
from deeplens_dof.photo.codecs.formats import SIGNATURES
from deeplens_dof.photo.codecs.oiio import DecodedFile, stored_bytes, stored_samples
from deeplens_dof.photo.contents import Contents

_NAKED, _CONTAINER = SIGNATURES["JXL"]
_FILE_TYPE = box(b"ftyp", b"jxl \0\0\0\0jxl ")
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIDES = (9, 13, 18, 30)  # bits
_DEPTHS = ((32, 16, 24, 6), (8, 10, 12, 6))  # of floats and of integers; the last is that many bits plus 1
_MOST_METADATA = 1 << 24
_SHORTEST_BYTES = 128  # the least that OpenImageIO accepts; tiny pictures take less
_HEADER_BYTES = 64  # more than the parsed part of a header can take
_DEFAULT_QUALITY = 95
_EFFORT = 3  # of 1..9: at 7 it takes ten times as long for files a tenth smaller


class JxlHeader(NamedTuple):
    """size: (width, height) as stored. lossless: True only if certain. exif, xmp: content of the boxes, or None."""

    size: tuple[int, int]
    lossless: bool
    exif: bytes | None
    xmp: bytes | None


def read_jxl_header(data: bytes) -> JxlHeader:
    """The header of a file. Raises ValueError when there is no codestream or its header is cut off."""
    exif, xmp = _metadata(data)
    bits = _Bits(_parts(data)[1][len(_NAKED) :][:_HEADER_BYTES])
    return JxlHeader(_size(bits), _is_lossless(bits), exif, xmp)


def stored(data: bytes) -> DecodedFile:
    """Upright uint8 or uint16 samples. Deeper integers and floats (clipped to 0..1) become uint16."""
    codestream = _parts(data)[1].ljust(_SHORTEST_BYTES, b"\0")
    found = stored_samples(codestream, ".jxl", "uint16")
    if found.kind == "uint8":
        found = found._replace(samples=(found.samples // 257).astype(np.uint8))
    profile = found.icc
    if profile is not None and profile[4:8] == b"jxl " and found.attributes.get("CICP", ())[:2] == (1, 13):
        profile = None  # made up by the decoder, for sRGB
    return found._replace(icc=profile)


def jxl_bytes(contents: Contents, quality: int | None) -> bytes:
    """A JPEG XL file. quality: 1..100, 100 is lossless; None is lossless for 16 bits and lossless originals, else 95."""
    if quality is None:
        lossless = contents.compression.lossless or contents.pixels.dtype == np.uint16
        quality = 100 if lossless else _DEFAULT_QUALITY
    contents = as_codes(contents, np.uint16)
    samples = contents.pixels
    channels: tuple[str, ...] = ("R", "G", "B")
    if contents.alpha is not None:
        samples, channels = np.dstack((samples, contents.alpha)), (*channels, "A")
    attributes: dict[str, Any] = {"oiio:UnassociatedAlpha": 1, "jpegxl:effort": _EFFORT}
    if quality < 100:
        attributes["compression"] = f"jpegxl:{quality}"
    plain = stored_bytes(samples, ".jxl", samples.dtype.name, channels, attributes, contents.icc)
    level, codestream = _parts(plain)
    parts = [_CONTAINER, _FILE_TYPE, level]
    if contents.exif is not None:
        parts.append(box(b"Exif", bytes(4) + contents.exif))
    if contents.xmp is not None:
        parts.append(box(b"xml ", contents.xmp))
    return b"".join((*parts, box(b"jxlc", codestream)))


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """The level box, or b"", and the whole codestream. Raises ValueError when there is none."""
    if data.startswith(_NAKED):
        return b"", data
    level, codestream = b"", []
    for kind, start, end in boxes(data):
        if kind == b"jxll":
            level = box(kind, data[start:end])
        elif kind in (b"jxlc", b"jxlp"):
            number_bytes = 4 if kind == b"jxlp" else 0  # a part begins with its number
            codestream.append(data[start + number_bytes : end])
    whole = b"".join(codestream)
    if not whole.startswith(_NAKED):
        raise ValueError("it holds no codestream")
    return level, whole


def _metadata(data: bytes) -> tuple[bytes | None, bytes | None]:
    """EXIF, TIFF-structured, and XMP; the first of each."""
    exif = xmp = None
    if not data.startswith(_CONTAINER):
        return None, None
    for kind, start, end in boxes(data):
        body: bytes | None = None
        if kind == b"brob" and data[start : start + 4] in (b"Exif", b"xml "):
            kind, body = data[start : start + 4], _expanded(data[start + 4 : end])
        elif kind in (b"Exif", b"xml "):
            body = data[start:end]
        if body and kind == b"Exif":
            exif = exif or body[4 + int.from_bytes(body[:4], "big") :]
        elif body and kind == b"xml ":
            xmp = xmp or body
    return exif, xmp


def _expanded(packed: bytes) -> bytes | None:
    """The content of a compressed box; None without brotli, beyond 16 MiB, or when it is damaged."""
    try:
        import brotli
    except ImportError:
        return None
    unpacker = brotli.Decompressor()
    try:
        body: bytes = unpacker.process(packed, output_buffer_limit=_MOST_METADATA)
    except brotli.error:
        return None
    return body if unpacker.is_finished() else None


class _Bits:
    """Bits of a byte string, least significant first. Raises ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("its header is cut off")
        found = self.value & ((1 << count) - 1)
        self.value >>= count
        self.left -= count
        return found


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader (annex D.2)."""
    small = bits.take(1)

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.take(_SIDES[bits.take(2)]) + 1

    height = side()
    ratio = _RATIOS.get(bits.take(3))
    return (height * ratio[0] // ratio[1], height) if ratio else (side(), height)


def _is_lossless(bits: _Bits) -> bool:
    """Whether the picture is stored in its original colour space (annex D.3); False for headers with rarer parts."""
    if bits.take(1):  # all default, which is the lossy colours
        return False
    if bits.take(1) and (bits.take(3), bits.take(3))[1]:  # orientation; its own size, a preview, frames
        return False
    choice = _DEPTHS[0 if bits.take(1) else 1]
    floats = choice is _DEPTHS[0]
    selector = bits.take(2)
    if selector == 3:
        bits.take(choice[3])
    if floats:
        bits.take(4)
    bits.take(1)  # 16 bits suffice
    extra = bits.take(2)
    if extra > 1 or (extra == 1 and not bits.take(1)):  # more than plain alpha
        return False
    return not bits.take(1)
