"""Contents of a picture to the bytes of a file, by format."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from deeplens_dof.photo.bit_depth import alpha_as, as_codes, rounded_to_8_bits
from deeplens_dof.photo.codecs import heif, jpeg
from deeplens_dof.photo.codecs.exr import exr_bytes
from deeplens_dof.photo.codecs.formats import Format
from deeplens_dof.photo.codecs.isobmff import with_named_colors
from deeplens_dof.photo.codecs.jxl import jxl_bytes
from deeplens_dof.photo.codecs.png import png_bytes
from deeplens_dof.photo.codecs.tiff import tiff_bytes
from deeplens_dof.photo.contents import Contents
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.hdr import as_hdr_codes, tone_mapped
from deeplens_dof.photo.metadata import exif, ifd, xmp_in_jpeg
from deeplens_dof.photo.metadata.annotations import density_tags
from deeplens_dof.photo.metadata.named_colors import NamedColors
from deeplens_dof.photo.phone_depth.gdepth import HEAVY
from deeplens_dof.photo.ultra_hdr import RESERVED_XMP_BYTES, as_ultra_hdr, joined

HDR_FORMATS = ("HEIF", "AVIF", "PNG")  # in which PQ and HLG are written
LOWEST_JPEG_QUALITY = 90  # a photo is never saved below this unless it is asked for
_DEFAULT_JPEG_QUALITY = 95
_DEFAULT_WEBP_QUALITY = 95
_DEFAULT_AVIF_QUALITY = 90
_LONGEST_JPEG_EXIF_BYTES = 65_527
_LONGEST_COMMENT_BYTES = 65_533
_LARGEST_JFIF_DENSITY = 65_535
_DENSITY_IN_EXIF = ("WEBP", "AVIF", "HEIF", "JXL")  # which have no other place for it


def file_bytes(contents: Contents, form: Format, quality: int | None, name: str) -> bytes:
    """The bytes of a file. Anything the format cannot hold is dropped: alpha, bits beyond 8 (rounded), light above white.

    Args:
        contents: pixels and metadata.
        form: the format.
        quality: 1..100 for JPEG, WebP, AVIF and HEIC; None is about that of the original file.
        name: name of the file in messages.

    Raises:
        PhotoError: it cannot be written.
    """
    if quality is not None and not (isinstance(quality, int) and 1 <= quality <= 100):
        raise PhotoError(
            f"{name} cannot be written with quality {quality!r}, expected a whole number from 1 to 100"
        )
    width, height = contents.size
    if max(width, height) > form.max_side:
        raise PhotoError(
            f"{name} cannot be written: {form.name} holds {form.max_side:,} px a side, and the picture "
            f"is {width:,} x {height:,} px; choose PNG or TIFF"
        )
    contents = replace(
        contents,
        alpha=contents.alpha if form.alpha else None,
        exif=exif.made_upright(contents.exif, width, height),
    )
    if form.name in _DENSITY_IN_EXIF:
        contents = _with_density_in_exif(contents)
    hdr = contents.compression.hdr if contents.pixels.dtype.kind == "f" else None
    contents = replace(contents, compression=replace(contents.compression, hdr=None))
    if hdr is not None and form.name in HDR_FORMATS:
        contents = as_hdr_codes(contents, NamedColors(*hdr))
        contents = replace(contents, compression=replace(contents.compression, hdr=hdr))
    elif not form.floats:
        if hdr is not None:
            contents = replace(contents, pixels=tone_mapped(contents.pixels))
        contents = as_codes(contents, np.uint16 if form.deep else np.uint8)
    try:
        return _WRITERS[form.name](contents, quality)
    except PhotoError:
        raise
    except (ValueError, OSError, MemoryError, OverflowError, RuntimeError) as problem:
        raise PhotoError(
            f"{name} cannot be written as {form.name}: {problem or 'not enough memory'}"
        ) from problem


def _with_density_in_exif(contents: Contents) -> Contents:
    """Contents without EXIF get one that tells their resolution; other EXIF is left as it is."""
    density = contents.annotations.density
    if density is None or contents.exif is not None:
        return contents
    tags = ifd.Tags(density_tags("<", density), {}, {}, {})
    return replace(contents, exif=ifd.laid_out("<", tags))


def _jpeg(contents: Contents, quality: int | None) -> bytes:
    compression = contents.compression
    if quality is None:
        quality = max(LOWEST_JPEG_QUALITY, compression.quality or _DEFAULT_JPEG_QUALITY)
    options: dict[str, Any] = {"quality": quality, "subsampling": compression.subsampling}
    if contents.exif is not None:
        short = contents.exif
        if len(short) > _LONGEST_JPEG_EXIF_BYTES:
            short = exif.within_bytes(short, _LONGEST_JPEG_EXIF_BYTES)
        options["exif"] = b"Exif\0\0" + short
    extra, gain_file, found = b"", b"", contents.annotations
    if contents.xmp is not None:
        spare = RESERVED_XMP_BYTES if contents.gain_map is not None else 0
        options["xmp"], extra = xmp_in_jpeg.split(contents.xmp, HEAVY, spare)
    if contents.gain_map is not None:
        options["xmp"], index, gain_file = as_ultra_hdr(options.get("xmp"), contents.gain_map)
        extra += index
    if found.iptc is not None:
        extra += jpeg.iptc_segments(found.iptc)
    if found.density is not None and max(found.density) < _LARGEST_JFIF_DENSITY:
        options["dpi"] = found.density
    if found.comment is not None and len(found.comment) <= _LONGEST_COMMENT_BYTES:
        options["comment"] = found.comment
    options["extra"] = extra
    data = _by_pillow(contents, "JPEG", options)
    return joined(data, gain_file) if gain_file else data


def _webp(contents: Contents, quality: int | None) -> bytes:
    options: dict[str, Any] = {"exact": True, **_metadata(contents)}
    if contents.compression.lossless and quality is None:
        options |= {"lossless": True, "quality": 40, "method": 2}  # effort, not loss
    else:
        options |= {"quality": quality or _DEFAULT_WEBP_QUALITY, "method": 4}
    return _by_pillow(contents, "WEBP", options)


def _avif(contents: Contents, quality: int | None) -> bytes:
    options: dict[str, Any] = {
        "quality": quality or _DEFAULT_AVIF_QUALITY,
        "subsampling": "4:4:4",
        "speed": 8,
    }
    options |= _metadata(contents)
    if contents.exif is not None:
        # Pillow would otherwise write it anew itself, to remove the orientation.
        options["exif"] = exif.relaid(contents.exif)
    data, hdr = _by_pillow(contents, "AVIF", options), contents.compression.hdr
    return data if hdr is None else with_named_colors(data, *hdr)


def _metadata(contents: Contents) -> dict[str, bytes]:
    return {
        key: block for key, block in (("exif", contents.exif), ("xmp", contents.xmp)) if block is not None
    }


def _by_pillow(contents: Contents, format_name: str, options: dict[str, Any]) -> bytes:
    from PIL import Image

    pixels = rounded_to_8_bits(contents.pixels)
    if contents.alpha is not None:
        pixels = np.dstack((pixels, alpha_as(contents.alpha, np.uint8)))
    if contents.icc is not None:
        options["icc_profile"] = contents.icc
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format_name, **options)
    return file.getvalue()


_WRITERS: Mapping[str, Callable[[Contents, int | None], bytes]] = {
    "JPEG": _jpeg,
    "PNG": lambda contents, quality: png_bytes(contents),
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": heif.heif_bytes,
    "TIFF": lambda contents, quality: tiff_bytes(contents),
    "EXR": lambda contents, quality: exr_bytes(contents),
    "JXL": jxl_bytes,
}
