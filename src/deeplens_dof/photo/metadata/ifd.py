"""Image file directories, the structure of EXIF and TIFF (TIFF 6.0, section 2), read with bounds checks and written.

Values stay raw bytes in their original byte order, so that nothing is lost by decoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_MOST_ENTRIES = 1000  # of one directory; cameras write below 100

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005


class Field(NamedTuple):
    """One tag. kind: TIFF type. length: number of values. value: raw bytes. offset: their position in the block."""

    kind: int
    length: int
    value: bytes
    offset: int = 0


Directory = dict[int, Field]


BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}  # by the first four bytes


def byte_order(block: bytes) -> str | None:
    """ "<" or ">" of a TIFF-structured block; None when it is not one."""
    return BYTE_ORDERS.get(block[:4])


def first_offset(block: bytes, order: str) -> int:
    """The offset of IFD0."""
    return _long(block, order, 4)


def directory_at(block: bytes, order: str, offset: int) -> Directory:
    """The fields of the directory at `offset`; those that point outside the block are left out, of equal tags the later."""
    found: Directory = {}
    for tag, entry in entries_at(block, order, offset):
        found.setdefault(tag, entry)
    return found


def entries_at(block: bytes, order: str, offset: int) -> Iterator[tuple[int, Field]]:
    """Tags and fields of the directory at `offset` in their order, a tag as often as it stands there."""
    if not 8 <= offset <= len(block) - 2:
        return
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    for i in range(min(count, _MOST_ENTRIES)):
        at = offset + 2 + 12 * i
        if at + 12 > len(block):
            break
        tag, kind, length = struct.unpack_from(f"{order}HHI", block, at)
        size = _SIZES.get(kind, 0) * length
        start = at + 8 if size <= 4 else _long(block, order, at + 8)
        if size and start + size <= len(block):
            yield tag, Field(kind, length, block[start : start + size], start)


def next_pointer(block: bytes, order: str, offset: int) -> int | None:
    """Where the offset of the next directory is stored; None outside the block."""
    if not 8 <= offset <= len(block) - 2:
        return None
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    at = offset + 2 + 12 * count
    return at if at + 4 <= len(block) else None


def pointed(block: bytes, order: str, directory: Mapping[int, Field], pointer: int) -> Directory:
    """The directory that a pointer tag refers to; empty when there is none."""
    offset = integer(directory.get(pointer), order)
    return {} if offset is None else directory_at(block, order, offset)


def integer(entry: Field | None, order: str) -> int | None:
    """The first value of an integer tag."""
    found = integers(entry, order)
    return found[0] if found else None


def integers(entry: Field | None, order: str) -> tuple[int, ...]:
    """All values of an integer tag; empty when it is absent or of another type."""
    code = None if entry is None else _INTEGERS.get(entry.kind)
    if entry is None or code is None:
        return ()
    return struct.unpack(f"{order}{len(entry.value) // _SIZES[entry.kind]}{code}", entry.value)


def number(entry: Field | None, order: str) -> float | None:
    """The first value of a rational or integer tag; None when it is not a finite number."""
    if entry is not None and entry.kind in (RATIONAL, 10):
        above, below = struct.unpack_from(order + ("II" if entry.kind == RATIONAL else "ii"), entry.value)
        return above / below if below else None
    whole = integer(entry, order)
    return None if whole is None else float(whole)


def text(entry: Field | None) -> str | None:
    """An ASCII tag without its padding; None when it is absent or blank."""
    if entry is None or entry.kind != ASCII:
        return None
    return entry.value.split(b"\0")[0].decode("utf-8", "replace").strip() or None


def packed(order: str, kind: int, *values: int) -> Field:
    """A field of SHORT, LONG or BYTE values."""
    code = {BYTE: "B", SHORT: "H", LONG: "I"}[kind]
    return Field(kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))


def bytes_field(kind: int, value: bytes) -> Field:
    """A field of bytes (BYTE, ASCII or UNDEFINED)."""
    return Field(kind, len(value), value)


class Tags(NamedTuple):
    """The directories of EXIF: IFD0 and the three that it points to."""

    ifd0: Directory
    exif: Directory
    gps: Directory
    interop: Directory


def tags_of(block: bytes, order: str) -> Tags:
    ifd0 = directory_at(block, order, first_offset(block, order))
    exif = pointed(block, order, ifd0, EXIF_POINTER)
    gps = pointed(block, order, ifd0, GPS_POINTER)
    return Tags(ifd0, exif, gps, pointed(block, order, exif, INTEROP_POINTER))


def laid_out(order: str, tags: Tags) -> bytes:
    """A TIFF-structured block with IFD0 at offset 8 and no second page. Pointers are filled in here."""
    ifd0, exif = _without_pointers(tags.ifd0), _without_pointers(tags.exif)
    at = 8 + _size(ifd0) + 12 * (bool(exif or tags.interop) + bool(tags.gps))
    offsets: list[tuple[Directory, int]] = []
    if exif or tags.interop:
        ifd0[EXIF_POINTER] = packed(order, LONG, at)
        offsets.append((exif, at))
        at += _size(exif) + 12 * bool(tags.interop)
        if tags.interop:
            exif[INTEROP_POINTER] = packed(order, LONG, at)
            offsets.append((tags.interop, at))
            at += _size(tags.interop)
    if tags.gps:
        ifd0[GPS_POINTER] = packed(order, LONG, at)
        offsets.append((tags.gps, at))
    magic = next(mark for mark, named in BYTE_ORDERS.items() if named == order)
    block = magic + struct.pack(f"{order}I", 8) + _bytes_of(order, ifd0, 8)
    return block + b"".join(_bytes_of(order, directory, offset) for directory, offset in offsets)


def _without_pointers(directory: Directory) -> Directory:
    pointers = (EXIF_POINTER, GPS_POINTER, INTEROP_POINTER)
    return {tag: entry for tag, entry in directory.items() if tag not in pointers}


def _size(directory: Directory) -> int:
    """Size of a directory in bytes with its long values, each at an even offset."""
    outside = sum(len(e.value) + len(e.value) % 2 for e in directory.values() if len(e.value) > 4)
    return 2 + 12 * len(directory) + 4 + outside


def _bytes_of(order: str, directory: Directory, offset: int) -> bytes:
    head, tail = [struct.pack(f"{order}H", len(directory))], b""
    start = offset + 2 + 12 * len(directory) + 4
    outside: list[bytes] = []
    for tag, entry in sorted(directory.items()):
        field = entry.value.ljust(4, b"\0")
        if len(entry.value) > 4:
            field = struct.pack(f"{order}I", start)
            tail = entry.value + b"\0" * (len(entry.value) % 2)
            outside.append(tail)
            start += len(tail)
        head.append(struct.pack(f"{order}HHI", tag, entry.kind, entry.length) + field)
    return b"".join((*head, b"\0\0\0\0", *outside))


def _long(block: bytes, order: str, at: int) -> int:
    if at + 4 > len(block):
        return 0
    value: int = struct.unpack_from(f"{order}I", block, at)[0]
    return value
