"""File headers through Pillow's own readers: size, bit depth and metadata, before any pixel is decoded.

`PIL.Image.open` is not used: it tries every format, applies a process-wide limit of its own, and warns. Only the
reader of the detected format is called, on the first frame.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from deeplens_dof.photo.codecs import exr, jpeg, jxl, png, raw
from deeplens_dof.photo.codecs.formats import Format
from deeplens_dof.photo.codecs.isobmff import items_of
from deeplens_dof.photo.codecs.tiff_page import FLOAT, TiffPage, page_of, unread_compression
from deeplens_dof.photo.contents import Compression
from deeplens_dof.photo.errors import PhotoError

if TYPE_CHECKING:
    from PIL import ImageFile


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file. size: (width, height) as stored. info: metadata by Pillow's names. image: Pillow's, not loaded.

    deep: samples that Pillow would change, such as 9 to 16 bits; `image` may then be None. page: of a TIFF of such samples.
    """

    format: Format
    size: tuple[int, int]
    info: dict[Any, Any]
    image: ImageFile.ImageFile | None = None
    deep: bool = False
    page: TiffPage | None = None
    progressive_jpeg: bool = False
    compression: Compression = field(default_factory=Compression)


_warnings_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Pillow's warnings about unusual metadata. One thread at a time, because warning filters are global."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def header(data: bytes, form: Format, name: str) -> Header:
    """The header of a file of format `form`. Raises PhotoError when it is damaged or its content is not supported."""
    from PIL import Image

    try:
        with quiet():
            return _READERS[form.name](data, form, name)
    except PhotoError:
        raise
    except Image.DecompressionBombError as problem:
        raise PhotoError(f"{name} has more pixels than its decoder takes; make it smaller") from problem
    except Exception as problem:  # readers of damaged files raise anything
        raise damaged(name, form, problem) from problem


def damaged(name: str, form: Format, problem: BaseException) -> PhotoError:
    detail = str(problem).strip().rstrip(".").splitlines()
    why = f" ({detail[0][:160]})" if detail else ""
    return PhotoError(f"{name} is a damaged or incomplete {form.shown} file{why}; copy or export it again")


def _jpeg(data: bytes, form: Format, name: str) -> Header:
    from PIL.JpegImagePlugin import JpegImageFile, get_sampling

    jpeg.check_frame(data, name)
    image = JpegImageFile(io.BytesIO(data))
    sampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(get_sampling(image), "4:4:4")
    compression = Compression(jpeg_quality(image.quantization), sampling)
    progressive = bool(image.info.get("progressive"))
    return replace(_opened(image, form), progressive_jpeg=progressive, compression=compression)


def _png(data: bytes, form: Format, name: str) -> Header:
    from PIL.PngImagePlugin import PngImageFile

    return replace(_opened(PngImageFile(io.BytesIO(data)), form), deep=png.is_deep(data))


def _webp(data: bytes, form: Format, name: str) -> Header:
    from PIL.WebPImagePlugin import WebPImageFile

    compression = Compression(lossless=webp_is_lossless(data))
    return replace(_opened(WebPImageFile(io.BytesIO(data)), form), compression=compression)


def _avif(data: bytes, form: Format, name: str) -> Header:
    from PIL.AvifImagePlugin import AvifImageFile

    return _opened(AvifImageFile(io.BytesIO(data)), form)


def _heif(data: bytes, form: Format, name: str) -> Header:
    found = items_of(data, name)
    return Header(form, found.size, {"items": found})


def _tiff(data: bytes, form: Format, name: str) -> Header:
    from PIL.TiffImagePlugin import TiffImageFile

    page = page_of(data, name)
    if page.stored_plainly:
        blocks = {"icc_profile": page.icc, "xmp": page.xmp}
        info = {key: block for key, block in blocks.items() if block is not None}
        half = page.kind == FLOAT and page.bits == 16
        return Header(form, page.size, info, deep=True, page=page, compression=Compression(half=half))
    try:
        return _opened(TiffImageFile(io.BytesIO(data)), form)
    except (KeyError, SyntaxError) as problem:  # Pillow's table has no such compression
        if page.compression:
            raise unread_compression(name, page) from problem
        raise


def _exr(data: bytes, form: Format, name: str) -> Header:
    facts = exr.read_exr_header(data)
    info = {"xmp": facts.xmp, "density": facts.density}
    return Header(form, facts.size, info, compression=Compression(half=facts.half))


def _jxl(data: bytes, form: Format, name: str) -> Header:
    facts = jxl.read_jxl_header(data)
    info = {"exif": facts.exif, "xmp": facts.xmp}
    return Header(form, facts.size, info, compression=Compression(lossless=facts.lossless))


def _raw(data: bytes, form: Format, name: str) -> Header:
    facts = raw.read_raw_header(data, name)
    return Header(form, facts.size, {"exif": facts.exif, "xmp": facts.xmp})


def _opened(image: ImageFile.ImageFile, form: Format) -> Header:
    return Header(form, image.size, image.info, image)


_READERS = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
    "TIFF": _tiff,
    "EXR": _exr,
    "JXL": _jxl,
    "RAW": _raw,
}

# Luminance table of ITU-T T.81, annex K.1, which libjpeg scales by quality.
# fmt: off
_ANNEX_K = (
    16, 11, 10, 16, 24, 40, 51, 61,      12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,      14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,  72, 92, 95, 98, 112, 100, 103, 99,
)
# fmt: on


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """The libjpeg quality whose luminance table has the sum nearest to the file's; None without tables."""
    if not tables:
        return None
    luminance, sums = sum(tables[min(tables)]), _luminance_sums()
    return min(range(1, 101), key=lambda quality: abs(sums[quality - 1] - luminance))


@cache
def _luminance_sums() -> tuple[int, ...]:
    """The sum of libjpeg's luminance table for each quality from 1 to 100."""
    scales = [5000 // quality if quality < 50 else 200 - 2 * quality for quality in range(1, 101)]
    return tuple(sum(min(255, max(1, (step * scale + 50) // 100)) for step in _ANNEX_K) for scale in scales)


def webp_is_lossless(data: bytes) -> bool:
    """Whether the first picture of a WebP is of kind VP8L (WebP container specification)."""
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        at += 24 if kind == b"ANMF" else 8 + size + size % 2
    return False
