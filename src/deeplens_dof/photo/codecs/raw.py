"""Camera RAW through rawpy (LibRaw): 16 bits, the camera's white balance, sRGB; read only.

LibRaw turns the picture upright. EXIF is read here, from the place where each maker stores it.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from deeplens_dof.photo.codecs.boxes import boxes
from deeplens_dof.photo.codecs.raw_kind import DNG_VERSION, directories
from deeplens_dof.photo.contents import Decoded
from deeplens_dof.photo.errors import PhotoError, UnknownFormatError
from deeplens_dof.photo.metadata import exif, ifd

_XMP, _STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 700, 273, 279, 324, 325
_FUJI_JPEG = 84  # where RAF has offset and length of its JPEG
_FUJI_SEARCHED = 1 << 16
_CANON_TAGS = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_CANON_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_SRGB_POWER, _SRGB_SLOPE = 2.4, 12.92


class RawHeader(NamedTuple):
    """size: (width, height) of the sensor's samples, as stored. exif: TIFF-structured, or None. xmp: a packet, or None."""

    size: tuple[int, int]
    exif: bytes | None
    xmp: bytes | None


def read_raw_header(data: bytes, name: str) -> RawHeader:
    """The header of a file. Raises UnknownFormatError without rawpy, ValueError for a file that LibRaw cannot open."""
    _check_whole(data)
    with _opened(data, name) as file:
        size = file.sizes
        width, height = max(size.raw_width, size.width), max(size.raw_height, size.height)
    return RawHeader((width, height), *_metadata(data))


def decode_raw(data: bytes, name: str) -> Decoded:
    """uint16 sRGB, upright, at the sensor's exposure (no automatic brightening). Raises as `read_raw_header` does."""
    from rawpy import ColorSpace, LibRawError

    with _opened(data, name) as file:
        try:
            pixels = file.postprocess(
                use_camera_wb=True,
                output_bps=16,
                output_color=ColorSpace.sRGB,
                gamma=(_SRGB_POWER, _SRGB_SLOPE),
                no_auto_bright=True,
            )
        except LibRawError as problem:
            raise ValueError(_words(problem)) from problem
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise PhotoError(
            f"{name} is a RAW of {pixels.shape[-1]} colours, expected three; develop it to TIFF first"
        )
    return Decoded(np.ascontiguousarray(pixels, np.uint16), None)


def _opened(data: bytes, name: str) -> Any:
    try:
        import rawpy
    except ImportError as problem:
        raise UnknownFormatError(
            f"{name} is a camera RAW file, and rawpy, which reads them, is not installed; install deeplens-dof[raw], "
            "or develop it to TIFF"
        ) from problem
    try:
        return rawpy.imread(io.BytesIO(data))
    except rawpy.LibRawError as problem:
        raise ValueError(_words(problem)) from problem


def _words(problem: Exception) -> str:
    """LibRaw's message, which rawpy passes on as bytes."""
    message = problem.args[0] if problem.args else ""
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


def _check_whole(data: bytes) -> None:
    """Raises ValueError for a truncated DNG, before LibRaw also prints a complaint to the terminal."""
    order = ifd.byte_order(data)
    pages = list(directories(data, order)) if order else []
    if order is None or DNG_VERSION not in pages[0]:
        return
    for page in pages:
        for starts, lengths in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
            parts = zip(
                ifd.integers(page.get(starts), order), ifd.integers(page.get(lengths), order), strict=False
            )
            if any(start + length > len(data) for start, length in parts):
                raise ValueError("it ends too early")


def _metadata(data: bytes) -> tuple[bytes | None, bytes | None]:
    """EXIF and XMP, from the first page of a TIFF, from Fujifilm's JPEG, or from Canon's boxes."""
    if data.startswith(b"FUJIFILM"):
        return _of_fuji(data), None
    if data[4:8] == b"ftyp":
        return _of_canon(data)
    if (
        data[:2] in (b"II", b"MM") and ifd.byte_order(data) is None
    ):  # Olympus and Panasonic have their own number there
        data = next(mark for mark in ifd.BYTE_ORDERS if mark[:2] == data[:2]) + data[4:]
    order = ifd.byte_order(data)
    if order is None:
        return None, None
    packet = ifd.directory_at(data, order, ifd.first_offset(data, order)).get(_XMP)
    return exif.from_tiff(data), None if packet is None else packet.value


def _of_fuji(data: bytes) -> bytes | None:
    """EXIF from the first segment of the embedded JPEG."""
    start = int.from_bytes(data[_FUJI_JPEG : _FUJI_JPEG + 4], "big")
    head = data[start : start + _FUJI_SEARCHED + 4]
    if head[:4] != b"\xff\xd8\xff\xe1":
        return None
    return exif.block(head[6 : 4 + int.from_bytes(head[4:6], "big")])


def _of_canon(data: bytes) -> tuple[bytes | None, bytes | None]:
    """CR3 stores the EXIF directories as separate blocks: CMT1 is IFD0, CMT2 EXIF, CMT4 GPS."""
    parts: dict[bytes, bytes] = {}
    xmp = None
    for kind, start, end in boxes(data):
        if kind == b"uuid" and data[start : start + 16] == _CANON_XMP:
            xmp = data[start + 16 : end]
        if kind != b"moov":
            continue
        for inner, inner_start, inner_end in boxes(data, start, end):
            if inner == b"uuid" and data[inner_start : inner_start + 16] == _CANON_TAGS:
                parts |= {k: data[s:e] for k, s, e in boxes(data, inner_start + 16, inner_end)}
    order = ifd.byte_order(parts.get(b"CMT1", b""))
    if order is None:
        return None, xmp

    def directory(part: bytes) -> ifd.Directory:
        block = parts.get(part, b"")
        return (
            ifd.directory_at(block, order, ifd.first_offset(block, order))
            if ifd.byte_order(block) == order
            else {}
        )

    tags = ifd.Tags(directory(b"CMT1"), directory(b"CMT2"), directory(b"CMT4"), {})
    return ifd.laid_out(order, tags), xmp
