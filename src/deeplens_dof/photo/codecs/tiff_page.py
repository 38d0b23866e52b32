"""The page of a TIFF file that is the photo, and how it stores its samples (TIFF 6.0 and its technical notes).

A file may begin with a small picture of the photo. Offsets in a TIFF count from its first byte, so a file whose first
offset is that of another page is that page: every reader can be given it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata import ifd

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOR = 254, 255, 256, 257, 258, 259, 262
_CHANNELS, _SUB_IFDS, _EXTRA, _SAMPLE_FORMAT, _XMP, _ICC = 277, 330, 338, 339, 700, 34675
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2
_MOST_PAGES = 200
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_OWN_CHANNELS = {
    WHITE_IS_ZERO: 1,
    BLACK_IS_ZERO: 1,
    RGB: 3,
    PALETTE: 1,
    INKS: 4,
    YCBCR: 3,
    CIELAB: 3,
    ICCLAB: 3,
}
_COLOR_NAMES = {10: "ITU L*a*b*", 32803: "a camera's colour filter", 32844: "LogL", 32845: "LogLuv"}
_ASSOCIATED, _UNASSOCIATED = 1, 2
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
_FLOAT_BITS, _PLAIN_BITS = (16, 32, 64), (8, 16)
_USUAL_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946)
_COMPRESSIONS = {34676: "SGI Log", 34677: "SGI Log 24", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard"}
_COMPRESSIONS |= {50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL", 34887: "LERC", 33003: "JPEG 2000"}


class TiffPage(NamedTuple):
    """How a page stores its samples. bits: of each sample; 0 where they differ. kind: UNSIGNED, FLOAT, ... color: its
    PhotometricInterpretation. channels: of the colour, alpha and others not counted. alpha: the index of its channel, -1
    for none. compression: its name where few programs read it, else "".
    """

    size: tuple[int, int]
    bits: int
    kind: int
    color: int
    channels: int
    extra: int
    alpha: int
    associated: bool
    compression: str
    icc: bytes | None
    xmp: bytes | None

    @property
    def stored_plainly(self) -> bool:
        """Whether samples are to be taken as they are stored, rather than converted by Pillow."""
        if self.color not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INKS, CIELAB, ICCLAB):
            return False
        return self.kind == FLOAT or self.bits > 8 or self.color in (CIELAB, ICCLAB) or self.extra > 0


def as_first_page(data: bytes) -> bytes:
    """The file beginning with its largest page of full resolution, the first of equals; `data` itself if it does."""
    order = ifd.byte_order(data)
    if order is None:
        return data
    places = list(_places(data, order))
    if len(places) < 2:
        return data
    best = max(places, key=lambda at: _rank(ifd.directory_at(data, order, at), order))
    return data if best == places[0] else data[:4] + struct.pack(f"{order}I", best) + data[8:]


def page_of(data: bytes, name: str) -> TiffPage:
    """The first page. Raises PhotoError for samples that are not read."""
    order = ifd.byte_order(data) or "<"
    tags = ifd.directory_at(data, order, ifd.first_offset(data, order))

    def values(tag: int, otherwise: int) -> tuple[int, ...]:
        return ifd.integers(tags.get(tag), order) or (otherwise,)

    def block(tag: int) -> bytes | None:
        entry = tags.get(tag)
        return None if entry is None else entry.value

    bits, kinds, color = set(values(_BITS, 1)), set(values(_SAMPLE_FORMAT, UNSIGNED)), values(_COLOR, RGB)[0]
    own = _OWN_CHANNELS.get(color, values(_CHANNELS, 1)[0])
    extras = ifd.integers(tags.get(_EXTRA), order)
    covers = [i for i, kind in enumerate(extras) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    page = TiffPage(
        size=(values(_WIDTH, 0)[0], values(_HEIGHT, 0)[0]),
        bits=bits.pop() if len(bits) == 1 else 0,
        kind=UNSIGNED if kinds <= {UNSIGNED, UNDEFINED} else max(kinds),
        color=color,
        channels=own,
        extra=max(0, values(_CHANNELS, 1)[0] - own),
        alpha=own + covers[0] if covers else -1,
        associated=bool(covers) and extras[covers[0]] == _ASSOCIATED,
        compression=_compression(values(_COMPRESSION, 1)[0]),
        icc=block(_ICC),
        xmp=block(_XMP),
    )
    _check(page, name)
    return page


def unread_compression(name: str, page: TiffPage) -> PhotoError:
    """The sentence for a page whose compression nothing here reads."""
    return PhotoError(
        f"{name} is compressed with {page.compression}, which this installation does not read; save it with LZW or Deflate"
    )


def _compression(code: int) -> str:
    return "" if code in _USUAL_COMPRESSIONS else _COMPRESSIONS.get(code, f"a method of its own ({code})")


def _check(page: TiffPage, name: str) -> None:
    """Raises PhotoError, a sentence that says what is not read."""
    if page.kind == FLOAT and page.bits in _FLOAT_BITS and page.color in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        return
    if page.kind != UNSIGNED:
        numbers = {SIGNED: "signed", FLOAT: "floating-point"}.get(page.kind, "complex")
        found = (
            f"{page.bits}-bit {numbers} numbers"
            if page.kind != FLOAT
            else f"{page.bits}-bit {numbers} colour"
        )
        raise PhotoError(
            f"{name} holds {found}, which are not read, expected 8 or 16 bits, or floats of grey or RGB; convert it"
        )
    if page.bits > 16:
        raise PhotoError(
            f"{name} holds {page.bits}-bit numbers, which are not read, expected 8 or 16; convert it"
        )
    if page.color not in _OWN_CHANNELS:
        found = _COLOR_NAMES.get(page.color, f"colours of kind {page.color}")
        raise PhotoError(
            f"{name} holds {found}, which is not read, expected grey, RGB, CMYK or Lab; convert it"
        )
    if page.stored_plainly and page.color in (INKS, CIELAB, ICCLAB) and page.bits not in _PLAIN_BITS:
        raise PhotoError(
            f"{name} holds {page.bits}-bit inks or Lab, which is not read, expected 8 or 16; convert it"
        )


def _places(data: bytes, order: str) -> Iterator[int]:
    """Where the directories of all pages stand, pages inside pages (SubIFDs) too; each once."""
    waiting, seen = [ifd.first_offset(data, order)], set[int]()
    while waiting and len(seen) < _MOST_PAGES:
        at = waiting.pop(0)
        tags = ifd.directory_at(data, order, at)
        if at in seen or not tags:
            continue
        seen.add(at)
        yield at
        waiting += ifd.integers(tags.get(_SUB_IFDS), order)
        link = ifd.next_pointer(data, order, at)
        if link is not None:
            waiting.append(struct.unpack_from(f"{order}I", data, link)[0])


def _rank(tags: ifd.Directory, order: str) -> tuple[bool, int]:
    """The better page has the higher one: of full resolution, then of more pixels."""
    subfile = ifd.integer(tags.get(_SUBFILE), order) or 0
    old = ifd.integer(tags.get(_OLD_SUBFILE), order)
    width, height = (ifd.integer(tags.get(tag), order) or 0 for tag in (_WIDTH, _HEIGHT))
    return not subfile & (_REDUCED | _MASK) and old != _OLD_REDUCED, width * height
