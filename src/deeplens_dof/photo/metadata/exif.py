"""EXIF (CIPA DC-008), kept byte for byte except where turning the picture makes it wrong.

Blocks are TIFF-structured, without the leading `Exif\\0\\0`. Maker notes contain offsets that only their maker
understands, so a block is patched in place wherever possible.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from deeplens_dof.photo.metadata import ifd

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_MAKER_NOTE = 0x927C
_XMP = 0x02BC
_WIDTH_TAGS, _HEIGHT_TAGS = (0x0100, 0xA002), (0x0101, 0xA003)
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
# Tags of a TIFF's IFD0 that describe the photo, not the file: description, make, model, resolution, software,
# dates, artist, host, rating, print image matching, copyright and Windows' own five.
_DESCRIPTIVE = (
    *(
        0x010E,
        0x010F,
        0x0110,
        0x011A,
        0x011B,
        0x0128,
        0x0131,
        0x0132,
        0x013B,
        0x013C,
        0x4746,
        0x4749,
        0x8298,
        0xC4A5,
    ),
    *range(0x9C9B, 0x9CA0),
)


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera's own description; None where it gives none. focal_length_35mm_mm refers to a 36 mm wide sensor."""

    make: str | None = None
    model: str | None = None
    focal_length_mm: float | None = None
    focal_length_35mm_mm: float | None = None
    f_number: float | None = None


def block(raw: bytes | None) -> bytes | None:
    """The TIFF-structured block in a file's EXIF data; None when it is not one."""
    if not raw:
        return None
    while raw.startswith(_PREFIX):  # some editors write it twice
        raw = raw[len(_PREFIX) :]
    return bytes(raw) if ifd.byte_order(raw) else None


def orientation(exif: bytes | None) -> int:
    """EXIF orientation 1..8; 1 when it is missing or out of range."""
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return 1
    found = ifd.number(ifd.directory_at(exif, order, ifd.first_offset(exif, order)).get(_ORIENTATION), order)
    return int(found) if found is not None and found in range(1, 9) else 1


def camera_of(exif: bytes | None) -> Camera:
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return Camera()
    tags = ifd.tags_of(exif, order)

    def positive(tag: int) -> float | None:
        value = ifd.number(tags.exif.get(tag), order)
        return value if value is not None and value > 0 else None

    return Camera(
        make=ifd.text(tags.ifd0.get(0x010F)),
        model=ifd.text(tags.ifd0.get(0x0110)),
        focal_length_mm=positive(0x920A),
        focal_length_35mm_mm=positive(0xA405),
        f_number=positive(0x829D),
    )


def made_upright(exif: bytes | None, width: int, height: int) -> bytes | None:
    """The block for upright pixels of that size: orientation 1, updated sizes, blanked thumbnail.

    Everything else stays byte for byte in place.
    """
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return None
    patched = bytearray(exif)
    start = ifd.first_offset(exif, order)
    values = {_ORIENTATION: 1} | dict.fromkeys(_WIDTH_TAGS, width) | dict.fromkeys(_HEIGHT_TAGS, height)
    below = ifd.integer(ifd.directory_at(exif, order, start).get(ifd.EXIF_POINTER), order)
    for place in (start, below):
        for tag, entry in ifd.entries_at(exif, order, place or 0):
            if tag in values:
                _patch(patched, order, entry, values[tag])
    _blank_thumbnail(patched, exif, order, start)
    return bytes(patched)


def from_tiff(data: bytes, whole: bytes | None = None) -> bytes | None:
    """The EXIF block of a TIFF file, whose IFD0 holds descriptive tags, EXIF and GPS. None for BigTIFF.

    whole: the same file as it came, where `data` begins with another page; tags of its first page stand in.
    """
    order = ifd.byte_order(data)
    if order is None:
        return None
    tags = ifd.tags_of(data, order)
    ifd0 = {tag: entry for tag, entry in tags.ifd0.items() if tag in _DESCRIPTIVE}
    if whole is not None and whole is not data:
        first = ifd.tags_of(whole, order)
        ifd0 = {tag: entry for tag, entry in first.ifd0.items() if tag in _DESCRIPTIVE} | ifd0
        tags = ifd.Tags(
            tags.ifd0, tags.exif or first.exif, tags.gps or first.gps, tags.interop or first.interop
        )
    if not (ifd0 or tags.exif or tags.gps):
        return None
    return ifd.laid_out(order, tags._replace(ifd0=ifd0))


def tiff_xmp(data: bytes) -> bytes | None:
    """The XMP packet of a TIFF file's first page."""
    order = ifd.byte_order(data)
    entry = None if order is None else ifd.directory_at(data, order, ifd.first_offset(data, order)).get(_XMP)
    return None if entry is None else entry.value


def descriptive_tags(exif: bytes | None) -> tuple[str, ifd.Tags]:
    """Byte order and tags of a block without those that describe the file itself; used to write a TIFF."""
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return "<", ifd.Tags({}, {}, {}, {})
    tags = ifd.tags_of(exif, order)
    return order, tags._replace(ifd0={t: e for t, e in tags.ifd0.items() if t in _DESCRIPTIVE})


def relaid(exif: bytes) -> bytes:
    """The block written anew with the same tags, without orientation, sizes and bytes outside any directory."""
    order, tags = descriptive_tags(exif)
    return ifd.laid_out(order, tags)


def within_bytes(exif: bytes, most_bytes: int) -> bytes:
    """The block written anew without bytes outside any directory, and if needed without the maker note, to fit.

    Raises ValueError when it still does not fit.
    """
    order, tags = descriptive_tags(exif)
    bare = {tag: entry for tag, entry in tags.exif.items() if tag != _MAKER_NOTE}
    for directory in (tags.exif, bare):
        short = ifd.laid_out(order, tags._replace(exif=directory))
        if len(short) <= most_bytes:
            return short
    raise ValueError(f"{len(exif):,} bytes of EXIF do not fit into {most_bytes:,}")


_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I"}  # by TIFF type


def _patch(target: bytearray, order: str, entry: ifd.Field, value: int) -> None:
    """Overwrites the first number of an integer or rational field in place, if it fits."""
    if entry.kind in (ifd.RATIONAL, 10):
        struct.pack_into(f"{order}II", target, entry.offset, value, 1)
    code = _NUMBERS.get(entry.kind)
    if code is not None and value < 1 << (8 * struct.calcsize(code) - code.islower()):
        struct.pack_into(f"{order}{code}", target, entry.offset, value)


def _blank_thumbnail(target: bytearray, exif: bytes, order: str, start: int) -> None:
    """Unlinks IFD1 and overwrites its JPEG, which shows the picture before it was turned."""
    link = ifd.next_pointer(exif, order, start)
    if link is None:
        return
    (at,) = struct.unpack_from(f"{order}I", exif, link)
    if not at:
        return
    thumbnail = ifd.directory_at(exif, order, at)
    offset = ifd.integer(thumbnail.get(_THUMBNAIL_OFFSET), order)
    length = ifd.integer(thumbnail.get(_THUMBNAIL_LENGTH), order)
    if offset and length and exif[offset : offset + 2] == b"\xff\xd8" and offset + length <= len(exif):
        target[offset : offset + length] = bytes(length)
    struct.pack_into(f"{order}I", target, link, 0)
