"""HEIC and HEIF: pillow-heif (extra `heif`) decodes the picture; everything else is read from the boxes of the file.

libheif applies `irot` and `imir`, which define the orientation; that in EXIF repeats it and is set to 1. Where there is
neither, as in files of Samsung, Fujifilm and Canon, the orientation in EXIF is all there is, and is applied.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deeplens_dof.photo.codecs.decode import from_samples
from deeplens_dof.photo.codecs.heif_samples import samples_of
from deeplens_dof.photo.codecs.isobmff import XMP_TYPE, Item, Items, with_named_colors
from deeplens_dof.photo.contents import Contents, Decoded, Pixels
from deeplens_dof.photo.errors import PhotoError, UnknownFormatError
from deeplens_dof.photo.gain_map import GainMap, GainMapError
from deeplens_dof.photo.limits import Limits
from deeplens_dof.photo.metadata import exif
from deeplens_dof.photo.metadata.named_colors import NamedColors, of_nclx
from deeplens_dof.photo.metadata.orientation import upright

if TYPE_CHECKING:
    from deeplens_dof.photo.embedded_depth import EmbeddedDepth

_DEFAULT_QUALITY = 90


class HeifContents(NamedTuple):
    """The contents of a HEIF file. exif: TIFF-structured. depth_problem, gain_problem: why depth or gain map that are there
    are not used, or None.
    """

    decoded: Decoded
    exif: bytes | None
    xmp: bytes | None
    depth: EmbeddedDepth | None
    depth_problem: str | None
    colors: NamedColors | None
    gain: GainMap | None
    gain_problem: str | None


def pillow_heif(name: str) -> Any:
    """The module. Raises UnknownFormatError, a PhotoError, when it is not installed."""
    try:
        import pillow_heif as module
    except ImportError as problem:
        raise UnknownFormatError(
            f"{name} is a HEIC picture, and pillow-heif, which opens these, is not installed; "
            "run pip install 'deeplens-dof[heif]'"
        ) from problem
    return module


def read_heif(data: bytes, items: Items, limits: Limits) -> HeifContents:
    """The primary picture with its metadata and depth. Raises PhotoError, and any exception of libheif for damaged files."""
    from deeplens_dof.photo.codecs.heif_depth import depth_of
    from deeplens_dof.photo.codecs.heif_gain import gain_map_of

    name = items.name
    module = pillow_heif(name)
    _check_sizes(items, limits)
    file = module.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    limits.check_picture(name, *image.size)
    primary = items.item(items.primary)
    raw_exif = _exif_of(items, primary, limits)
    packet = items.xmp_of(primary, limits.max_xmp_bytes)
    profile = image.info.get("icc_profile")
    colors = of_nclx([(each.kind, each.body) for each in primary.properties]) if profile is None else None
    limits.check_metadata(name, raw_exif, profile, packet)
    samples, has_alpha, premultiplied = samples_of(image)
    stored = primary.orientation if primary.says_orientation else exif.orientation(raw_exif)
    samples = upright(samples, 1 if primary.says_orientation else stored)
    if colors is not None:
        profile = colors.profile()
    decoded = from_samples(samples, samples.shape[2] - 1 if has_alpha else -1, premultiplied, profile)
    depth, problem = depth_of(items, image, stored, decoded.pixels.shape[:2], raw_exif, packet)
    gain, gain_problem = None, None
    try:
        gain = gain_map_of(items, image, stored, decoded.pixels.shape[:2], raw_exif)
    except GainMapError as why:
        gain_problem = f"{name} holds {why}; it is left out"
    return HeifContents(decoded, raw_exif, packet, depth, problem, colors, gain, gain_problem)


def heif_bytes(contents: Contents, quality: int | None) -> bytes:
    """A HEIC file, 4:4:4, 8 bits, or 10 bits for a 16-bit photo. Raises ValueError, RuntimeError or PhotoError."""
    pixels, alpha = contents.pixels, contents.alpha
    if pixels.dtype == np.uint16:
        pixels, alpha = _rounded_to_10_bits(pixels), None if alpha is None else _rounded_to_10_bits(alpha)
    samples = np.ascontiguousarray(pixels if alpha is None else np.dstack((pixels, alpha)))
    mode = ("RGB" if alpha is None else "RGBA") + ("" if samples.dtype == np.uint8 else ";10")
    options: dict[str, Any] = {"chroma": 444, "quality": quality or _DEFAULT_QUALITY}
    options["enc_params"] = {"preset": "ultrafast"}  # two to three times as fast, at about the same size
    if contents.icc is not None:
        options |= {"icc_profile": contents.icc, "icc_profile_type": "prof"}
    if contents.exif is not None:
        options["exif"] = b"Exif\0\0" + contents.exif
    if contents.xmp is not None:
        # Not as `xmp`: pillow-heif would turn the picture by the orientation that it says.
        options["metadata"] = [{"type": "mime", "content_type": XMP_TYPE, "data": contents.xmp}]
    file = io.BytesIO()
    size = contents.size
    pillow_heif("the picture").encode(mode, size, samples.tobytes(), file, **options)
    if contents.compression.hdr is not None:
        return with_named_colors(file.getvalue(), *contents.compression.hdr)
    return file.getvalue()


def _rounded_to_10_bits(samples: Pixels) -> Pixels:
    rounded: Pixels = ((samples.astype(np.uint32) * 1023 + 32767) // 65535).astype(np.uint16)
    return rounded


def _check_sizes(items: Items, limits: Limits) -> None:
    """Checks the size of everything libheif may decode: pictures, tiles, and grids by their own headers."""
    for item in items.items.values():
        if item.size is not None:
            limits.check_picture(items.name, *item.size)
        if item.kind == "grid":
            limits.check_picture(items.name, *_grid_size(items, item))


def _grid_size(items: Items, item: Item) -> tuple[int, int]:
    """(width, height) of a grid (ISO/IEC 23008-12, 6.6.2.3)."""
    body = items.bytes_of(item, 64)
    try:
        found: tuple[int, int] = struct.unpack_from(">II" if body[1] & 1 else ">HH", body, 4)
    except (struct.error, IndexError) as problem:
        raise PhotoError(f"{items.name} has a grid of pictures without a size; export it again") from problem
    return found


def _exif_of(items: Items, primary: Item, limits: Limits) -> bytes | None:
    """The TIFF-structured EXIF block, whose offset is stored in the first four bytes."""
    for item in items.referring("cdsc", primary.id):
        if item.kind == "Exif":
            raw = items.bytes_of(item, limits.max_exif_bytes)
            skipped = int.from_bytes(raw[:4], "big")
            return exif.block(raw[4 + skipped :]) or exif.block(raw[4:])
    return None
