"""What a file says of its picture beside EXIF and XMP: resolution, IPTC, the comment of a JPEG, the text of a PNG.

IPTC is the data of the Information Interchange Model (IIM 4.2), kept byte for byte. JPEG and PNG wrap it in an image
resource of Photoshop (Adobe, "Photoshop File Formats", image resource blocks); TIFF has a tag for it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

from deeplens_dof.photo.metadata import ifd

Density = tuple[float, float]

_MARK, _IPTC, _IIM = b"8BIM", 0x0404, b"\x1c"
_X, _Y, _UNIT, _TIFF_IPTC = 0x011A, 0x011B, 0x0128, 0x83BB
_INCH, _CM = 2, 3
_CM_PER_INCH = 2.54
_MOST_PER_INCH = 1e6
_STEPS = 1000  # of a rational number
_MOST_TEXT = 1 << 20  # bytes of one text, unpacked


@dataclass(frozen=True, slots=True)
class Annotations:
    """density: pixels per inch across and down; None if the file tells none. texts: kind and content of PNG text chunks."""

    density: Density | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def size_bytes(self) -> int:
        blocks = (self.iptc or b"", self.comment or b"", *(body for _, body in self.texts))
        return sum(map(len, blocks))

    def impersonal(self) -> Annotations:
        """Only the resolution: IPTC, comment and text say who made the picture, where and how."""
        return Annotations(self.density)

    def without_place(self) -> Annotations:
        """Without text and comment that name GPS. IPTC stays: it tells the place in words that its author wrote."""
        comment = None if self.comment and b"gps" in self.comment.lower() else self.comment
        texts = tuple(text for text in self.texts if b"gps" not in _unpacked(*text).lower())
        return replace(self, comment=comment, texts=texts)

    def upright(self, orientation: int) -> Annotations:
        """Of the picture turned by its EXIF orientation 1..8."""
        return self if self.density is None or orientation < 5 else replace(self, density=self.density[::-1])


def _unpacked(kind: bytes, body: bytes) -> bytes:
    """The content of a PNG text chunk, what is compressed in it unpacked; "gps" itself where that cannot be done."""
    if kind == b"tEXt":
        return body
    keyword, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return body
        rest = rest[2:].split(b"\0", 2)[-1]  # past flag, method, language and translated keyword
    else:
        rest = rest[1:]
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(rest, _MOST_TEXT)
    except zlib.error:
        return b"gps"
    return keyword + text if unpacker.eof else b"gps"


def checked_density(across: float, down: float) -> Density | None:
    """Pixels per inch; None when they are none, or beyond all measure."""
    return (across, down) if all(0 < value < _MOST_PER_INCH for value in (across, down)) else None


def density_in(exif: bytes | None) -> Density | None:
    """The resolution that a TIFF-structured block tells."""
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return None
    tags = ifd.directory_at(exif, order, ifd.first_offset(exif, order))
    across, down = (ifd.number(tags.get(tag), order) or 0.0 for tag in (_X, _Y))
    unit = ifd.integer(tags.get(_UNIT), order) or _INCH
    scale = {_INCH: 1.0, _CM: _CM_PER_INCH}.get(unit, 0.0)
    return checked_density(across * scale, down * scale)


def density_tags(order: str, density: Density) -> ifd.Directory:
    """The tags that tell the resolution in a TIFF-structured block."""
    across, down = (
        ifd.Field(ifd.RATIONAL, 1, struct.pack(f"{order}II", round(value * _STEPS), _STEPS))
        if value % 1
        else ifd.Field(ifd.RATIONAL, 1, struct.pack(f"{order}II", int(value), 1))
        for value in density
    )
    return {_X: across, _Y: down, _UNIT: ifd.packed(order, ifd.SHORT, _INCH)}


def iptc_tags(iptc: bytes) -> ifd.Directory:
    """The tag that holds IPTC in a TIFF."""
    return {_TIFF_IPTC: ifd.bytes_field(ifd.UNDEFINED, iptc)}


def iptc_in_tiff(data: bytes) -> bytes | None:
    """IPTC in the first page of a TIFF. Where the tag says 4-byte numbers, some writers have turned their bytes round."""
    order = ifd.byte_order(data)
    tags = {} if order is None else ifd.directory_at(data, order, ifd.first_offset(data, order))
    if _TIFF_IPTC not in tags:
        return None
    found = tags[_TIFF_IPTC].value
    turned = b"".join(found[at : at + 4][::-1] for at in range(0, len(found), 4))
    return next((block for block in (found, turned) if block.startswith(_IIM)), None)


def iptc_in(resources: bytes) -> bytes | None:
    """IPTC in Photoshop's image resources, or as it is; None when there is none."""
    if resources.startswith(_IIM):
        return resources
    at = 0
    while resources[at : at + 4] == _MARK and at + 12 <= len(resources):
        kind, name = int.from_bytes(resources[at + 4 : at + 6], "big"), 1 + resources[at + 6]
        start = at + 6 + name + name % 2 + 4
        size = int.from_bytes(resources[start - 4 : start], "big")
        body = resources[start : start + size]
        if kind == _IPTC:
            return body if len(body) == size and body.startswith(_IIM) else None
        at = start + size + size % 2
    return None


def as_resources(iptc: bytes) -> bytes:
    """IPTC as an image resource without a name."""
    head = _MARK + _IPTC.to_bytes(2, "big") + bytes(2) + len(iptc).to_bytes(4, "big")
    return head + iptc + bytes(len(iptc) % 2)
