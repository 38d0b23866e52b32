"""Camera RAW detection, by signature or, for TIFF-based formats, by tags."""

from __future__ import annotations

from collections.abc import Iterator

from deeplens_dof.photo.metadata import ifd

_SIGNATURES = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),  # Olympus
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # Panasonic, Leica
    (0, b"\0MRM"),  # Minolta
    (6, b"HEAPCCDR"),  # Canon before CR2
    (4, b"ftypcrx "),  # Canon CR3
)
DNG_VERSION = 50706
_KIND, _COLOR, _SUB_PAGES = 254, 262, 330
_OF_A_SENSOR = {32803, 34892}  # colour filter array, and linear RAW (DNG 1.6)
_RGB = 2
_MOST_SUB_PAGES = 16


def is_raw(data: bytes) -> bool:
    """True only for files that no ordinary TIFF resembles.

    They have Canon's CR2 mark, a DNG version, sensor samples in the first page or a sub-page, or a small first page above
    others, none of which is a picture in RGB.
    """
    if any(data[at : at + len(mark)] == mark for at, mark in _SIGNATURES):
        return True
    order = ifd.byte_order(data)
    if order is None:
        return False
    pages = list(directories(data, order))
    small_above_others = (
        (ifd.integer(pages[0].get(_KIND), order) or 0) & 1
        and _SUB_PAGES in pages[0]
        and not any(_is_finished(page, order) for page in pages[1:])
    )
    colours = {ifd.integer(page.get(_COLOR), order) for page in pages}
    return bool(
        data[8:10] == b"CR" or DNG_VERSION in pages[0] or small_above_others or colours & _OF_A_SENSOR
    )


def _is_finished(page: ifd.Directory, order: str) -> bool:
    """Whether a page holds RGB of full resolution."""
    return ifd.integer(page.get(_COLOR), order) == _RGB and not (ifd.integer(page.get(_KIND), order) or 0) & 1


def directories(data: bytes, order: str) -> Iterator[ifd.Directory]:
    """IFD0 and its sub-pages."""
    first = ifd.directory_at(data, order, ifd.first_offset(data, order))
    yield first
    for offset in ifd.integers(first.get(_SUB_PAGES), order)[:_MOST_SUB_PAGES]:
        yield ifd.directory_at(data, order, offset)
