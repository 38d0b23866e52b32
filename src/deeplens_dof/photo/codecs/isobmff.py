"""The boxes of a HEIF file (ISO/IEC 14496-12 and 23008-12): items, properties, references and bytes.

Only `meta` is parsed. Nothing is decoded, every size is checked against the enclosing box, and the number of boxes and
their nesting are limited, so that a malicious file can neither mislead nor stall the parser.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from deeplens_dof.photo.errors import BoxError
from deeplens_dof.photo.metadata.orientation import upright

Body = tuple[int, int]  # start and end in the file
Box = tuple[bytes, Body]  # kind, body
MOST_BOXES = 10_000
MOST_NESTING = 16
XMP_TYPE = "application/rdf+xml"
_MOST_ENTRIES = 100_000  # of one table: extents, associations, references
# Bytes of a box before its child boxes.
_FULL_BOX = 4
_HOLDERS = {b"meta": _FULL_BOX, b"iref": _FULL_BOX, b"iinf": None} | dict.fromkeys(
    (b"iprp", b"ipco", b"grpl", b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl"), 0
)


@dataclass(frozen=True, slots=True)
class Property:
    """kind: four characters, such as "ispe". body: the content of the box."""

    kind: str
    body: bytes


@dataclass(slots=True)
class Item:
    """kind: "hvc1", "grid", "Exif", "mime" and so on. extents: (offset, length) in the file, or in `idat`."""

    id: int
    kind: str
    content_type: str = ""
    properties: list[Property] = field(default_factory=list)
    method: int = 0
    extents: list[tuple[int, int]] = field(default_factory=list)

    def first(self, kind: str) -> bytes | None:
        """The body of the first property of a kind."""
        return next((found.body for found in self.properties if found.kind == kind), None)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in px as stored, from `ispe`."""
        body = self.first("ispe") or b""
        return struct.unpack_from(">II", body, 4) if len(body) >= 12 else None

    @property
    def orientation(self) -> int:
        """EXIF orientation 1..8 equivalent to applying `irot` and `imir` in their order."""
        probe = turned = np.arange(6).reshape(2, 3)
        for found in self.properties:
            if found.kind == "irot" and found.body:
                turned = np.rot90(turned, found.body[0] & 3)
            elif found.kind == "imir" and found.body:
                turned = turned[:, ::-1] if found.body[0] & 1 else turned[::-1]
        return next(o for o in range(1, 9) if np.array_equal(upright(probe, o), turned))

    @property
    def says_orientation(self) -> bool:
        """Whether it has `irot` or `imir`, be it one that turns nothing."""
        return any(found.kind in ("irot", "imir") for found in self.properties)

    @property
    def auxiliary_type(self) -> str:
        """The URN of `auxC`; empty when there is none."""
        body = self.first("auxC") or b""
        return body[4:].split(b"\0")[0].decode("utf-8", "replace")


@dataclass(slots=True)
class Items:
    """The content of `meta`. references: (kind, from, to), for example ("auxl", depth, photo)."""

    data: bytes = field(repr=False)
    name: str
    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    references: list[tuple[str, int, int]] = field(default_factory=list)
    idat: tuple[int, int] = (0, 0)

    def item(self, number: int) -> Item:
        if number not in self.items:
            raise BoxError(
                f"{self.name} names an item {number} that it does not hold; copy or export it again"
            )
        return self.items[number]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px of the primary picture, upright. Raises BoxError when the file does not give it."""
        primary = self.item(self.primary)
        if primary.size is None:
            raise _broken(self.name, "it does not tell the size of its picture")
        width, height = primary.size
        return (width, height) if primary.orientation < 5 else (height, width)

    def referring(self, kind: str, to: int) -> list[Item]:
        """The items that refer to an item: "auxl" for its auxiliary pictures, "cdsc" for its metadata."""
        found = dict.fromkeys(source for k, source, target in self.references if (k, target) == (kind, to))
        return [self.items[source] for source in found if source in self.items]

    def bytes_of(self, item: Item, most: int) -> bytes:
        """The bytes of an item. Raises BoxError for more than `most` bytes, extents outside the file, or derived items."""
        if item.method not in (0, 1):
            raise BoxError(f"{self.name} builds its item {item.id} from other items, which is not read")
        start, end = (0, len(self.data)) if item.method == 0 else self.idat
        parts, total = [], 0
        for offset, length in item.extents:
            length = length or end - start - offset
            total += length
            if length < 0 or start + offset + length > end:
                raise _broken(self.name, f"its item {item.id} lies outside of it")
            if total > most:
                raise BoxError(f"{self.name} holds an item of more than {most:,} bytes; remove it")
            parts.append(self.data[start + offset : start + offset + length])
        return b"".join(parts)

    def xmp_of(self, item: Item, most: int) -> bytes | None:
        """The XMP packet that describes an item, of at most that many bytes; None when there is none."""
        for packet in self.referring("cdsc", item.id):
            if packet.kind == "mime" and packet.content_type == XMP_TYPE:
                return self.bytes_of(packet, most)
        return None


def with_named_colors(data: bytes, primaries: int, transfer: int) -> bytes:
    """The file with these code points in its properties `colr` of kind `nclx`. Raises ValueError when it has none."""
    head = data.partition(b"mdat")[0]
    patched, at = bytearray(data), head.find(b"colrnclx")
    if at < 0:
        raise ValueError("the encoder named no colours")
    while at >= 0:
        struct.pack_into(">HH", patched, at + 8, primaries, transfer)
        at = head.find(b"colrnclx", at + 8)
    return bytes(patched)


def items_of(data: bytes, name: str) -> Items:
    """The items of a HEIF file. Raises BoxError, a PhotoError, when its boxes are damaged or exceed the limits."""
    walk = _Walk(data, name)
    found = Items(data, name)
    outermost = walk.children(0, len(data))
    walk.count(outermost, 1)
    metas = [body for kind, body in outermost if kind == b"meta"]
    if not metas:
        raise _broken(name, "it holds no still picture")
    start, end = metas[0]
    try:
        _read_items(walk, found, dict(walk.children(start + _FULL_BOX, end)))
    except struct.error as problem:
        raise _broken(name, "one of its tables ends too early") from problem
    found.item(found.primary)
    return found


def _read_items(walk: _Walk, found: Items, parts: dict[bytes, Body]) -> None:
    for needed in (b"pitm", b"iinf", b"iloc", b"iprp"):
        if needed not in parts:
            raise _broken(walk.name, f"its box {needed.decode()!r} is missing")
    table = walk.table(parts[b"pitm"])
    found.primary = table.number(2 if table.version == 0 else 4)
    _read_infos(walk, found, parts[b"iinf"])
    _read_locations(walk, found, parts[b"iloc"])
    _read_properties(walk, found, parts[b"iprp"])
    if b"iref" in parts:
        _read_references(walk, found, parts[b"iref"])
    found.idat = parts.get(b"idat", (0, 0))


def _read_infos(walk: _Walk, found: Items, box: Body) -> None:
    """`infe` versions 2 and 3; older ones name no kind and are not used for pictures."""
    for kind, body in walk.children(walk.inside(b"iinf", box), box[1]):
        table = walk.table(body)
        if kind != b"infe" or table.version < 2:
            continue
        number = table.number(2 if table.version == 2 else 4)
        table.number(2)  # protection
        item = Item(number, table.take(4).decode("latin-1"))
        if item.kind == "mime":
            _, _, rest = table.rest().partition(b"\0")  # the item's name
            item.content_type = rest.split(b"\0")[0].decode("utf-8", "replace")
        found.items[number] = item


def _read_locations(walk: _Walk, found: Items, box: Body) -> None:
    table = walk.table(box)
    sizes = table.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if table.version in (1, 2) else 0
    if {offset_size, length_size, base_size, index_size} - {0, 4, 8}:
        raise _broken(walk.name, "its table of places has numbers of odd lengths")
    id_size = 4 if table.version == 2 else 2
    for _ in range(table.entries(id_size)):
        number = table.number(id_size)
        method = table.number(2) & 15 if table.version in (1, 2) else 0
        table.number(2)  # data reference: always this file
        base = table.number(base_size)
        extents = []
        for _ in range(table.entries(2)):
            table.number(index_size)
            extents.append((base + table.number(offset_size), table.number(length_size)))
        if number in found.items:
            found.items[number].method, found.items[number].extents = method, extents


def _read_properties(walk: _Walk, found: Items, box: Body) -> None:
    properties: list[Property] = []
    inside = walk.children(*box)
    for body in (body for kind, body in inside if kind == b"ipco"):
        properties += [Property(k.decode("latin-1"), walk.data[slice(*b)]) for k, b in walk.children(*body)]
    for kind, body in inside:
        if kind != b"ipma":
            continue
        table = walk.table(body)
        wide = table.flags & 1
        for _ in range(table.entries(4)):
            number = table.number(2 if table.version < 1 else 4)
            for _ in range(table.entries(1)):
                index = table.number(2) & 0x7FFF if wide else table.number(1) & 0x7F
                if number in found.items and 0 < index <= len(properties):
                    found.items[number].properties.append(properties[index - 1])


def _read_references(walk: _Walk, found: Items, box: Body) -> None:
    id_size = 2 if walk.table(box).version == 0 else 4
    for kind, body in walk.children(box[0] + _FULL_BOX, box[1]):
        table = walk.table(body, full=False)
        source = table.number(id_size)
        for _ in range(table.entries(2)):
            found.references.append((kind.decode("latin-1"), source, table.number(id_size)))


class _Walk:
    """Walks over boxes and counts them."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self._boxes = self._entries = 0

    def children(self, start: int, end: int) -> list[Box]:
        """The boxes in start..end. Trailing data that is not a box is ignored."""
        found: list[Box] = []
        at = start
        while at + 8 <= end:
            size, kind = struct.unpack_from(">I4s", self.data, at)
            head = 8
            if size == 1 and at + 16 <= end:
                (size,) = struct.unpack_from(">Q", self.data, at + 8)
                head = 16
            elif size == 0:
                size = end - at
            if size < head or at + size > end:
                if end == len(self.data) and kind != b"mdat" and any(k == b"mdat" for k, _ in found):
                    break
                raise _broken(self.name, f"its box {_shown(kind)} is {size:,} bytes long in {end - at:,}")
            if len(found) >= MOST_BOXES:
                raise self._too_many()
            found.append((kind, (at + head, at + size)))
            at += size
        return found

    def inside(self, kind: bytes, body: Body) -> int:
        """Where the child boxes of a box begin."""
        skipped = _HOLDERS[kind]
        if skipped is None:  # iinf, which counts them with 2 or 4 bytes
            skipped = _FULL_BOX + (2 if self.data[body[0] : body[0] + 1] == b"\0" else 4)
        return body[0] + skipped

    def count(self, boxes: list[Box], nesting: int) -> None:
        """Counts boxes and table entries at any depth. Raises BoxError beyond the limit."""
        self._boxes += len(boxes)
        if self._boxes > MOST_BOXES:
            raise self._too_many()
        if boxes and nesting > MOST_NESTING:
            raise BoxError(f"{self.name} has boxes nested more than {MOST_NESTING} deep; export it again")
        for kind, body in boxes:
            if kind in _HOLDERS:
                self.count(self.children(self.inside(kind, body), body[1]), nesting + 1)

    def _too_many(self) -> BoxError:
        return BoxError(f"{self.name} has more than {MOST_BOXES:,} boxes; export it again")

    def table(self, body: Body, full: bool = True) -> _Table:
        return _Table(self, body, full)


class _Table:
    """Consecutive numbers. full: a version and flags come first. Raises struct.error past the end."""

    def __init__(self, walk: _Walk, body: Body, full: bool) -> None:
        self._walk, (self._at, self._end) = walk, body
        self.version, self.flags = (self.number(1), self.number(3)) if full else (0, 0)

    def take(self, length: int) -> bytes:
        if self._at + length > self._end:
            raise struct.error("past the end")
        self._at += length
        return self._walk.data[self._at - length : self._at]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def rest(self) -> bytes:
        return self.take(self._end - self._at)

    def entries(self, length: int) -> int:
        """The number of entries that follow; the sum over all tables is limited."""
        found = self.number(length)
        self._walk._entries += found
        if self._walk._entries > _MOST_ENTRIES:
            raise BoxError(
                f"{self._walk.name} has tables of more than {_MOST_ENTRIES:,} entries; export it again"
            )
        return found


def _broken(name: str, why: str) -> BoxError:
    return BoxError(f"{name} is a damaged or incomplete HEIF file ({why}); copy or export it again")


def _shown(kind: bytes) -> str:
    return repr("".join(chr(c) if 32 <= c < 127 else "?" for c in kind))
