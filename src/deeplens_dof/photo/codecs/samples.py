"""Stored samples of picture files: depth maps, masks and measured light, within the limits of photos.

A photo (see read.py) is upright RGB with a colour profile; these are the stored numbers of a file, in all its channels.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.codecs import exr
from deeplens_dof.photo.codecs.formats import BIG_TIFF, FORMATS, SIGNATURE_BYTES, Format, by_signature
from deeplens_dof.photo.codecs.header import damaged, header
from deeplens_dof.photo.codecs.oiio import stored_bytes, stored_samples
from deeplens_dof.photo.codecs.tiff_page import WHITE_IS_ZERO, as_first_page
from deeplens_dof.photo.errors import PhotoError, UnknownFormatError
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS, Limits
from deeplens_dof.photo.source import bytes_of
from deeplens_dof.runtime.errors import shown

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SAMPLE_FORMATS = ("PNG", "TIFF", "JPEG", "EXR")
MOST_CHANNELS = 8
_CHANNELS = {
    "L": ("Y",),
    "I;16": ("Y",),
    "LA": ("Y", "A"),
    "RGB": ("R", "G", "B"),
    "RGBA": ("R", "G", "B", "A"),
}


class StoredSamples(NamedTuple):
    """The samples of a picture file, as they are stored.

    values: (H, W, channels), of the file's own type or the one requested; half floats become float32. channels: names: Y, or
    R, G, B, and A; those of the file for EXR. description: the text tag ImageDescription (TIFF, EXR) or Description (PNG), ""
    if there is none. format: "PNG", "TIFF", "JPEG" or "EXR".
    """

    values: npt.NDArray[Any]
    channels: tuple[str, ...]
    description: str
    format: str


def sample_format(head: bytes) -> Format | None:
    """The format whose samples can be read, from the first SIGNATURE_BYTES bytes of a file; None for any other."""
    if head.startswith(BIG_TIFF):
        return FORMATS["TIFF"]
    found = by_signature(head)
    return found if found is not None and found.name in SAMPLE_FORMATS else None


def read_samples(
    source: str | os.PathLike[str] | bytes,
    limits: Limits = COMMAND_LINE_LIMITS,
    *,
    formats: tuple[str, ...] = SAMPLE_FORMATS,
    kind: str | None = None,
    name: str | None = None,
) -> StoredSamples:
    """The samples of a PNG, TIFF, JPEG or EXR file, recognised by content. Orientation is not applied.

    File size, header and metadata are checked against `limits` before a pixel is decoded, as for a photo.

    Args:
        source: a path, or the bytes of a file.
        limits: bounds on bytes, pixels and metadata.
        formats: accepted formats, a subset of SAMPLE_FORMATS.
        kind: "float" for float32, with integers scaled to 0..1; None for the file's own type.
        name: name of the file in messages; None is its path.

    Raises:
        PhotoError: one sentence, for another format, a file beyond the limits, or a damaged file.
    """
    name = name or shown(source)
    data = as_first_page(bytes_of(source, limits))
    form = sample_format(data[:SIGNATURE_BYTES])
    if form is None or form.name not in formats:
        expected = " or ".join(", ".join(formats).rsplit(", ", 1))
        raise UnknownFormatError(f"{name} is no {expected} file; copy or export it again")
    try:
        image = _within_limits(data, form, name, limits)
        if image is not None and kind is None:
            return _of_pillow(image, form)
        return _of_openimageio(data, form, name, limits, kind)
    except PhotoError:
        raise
    except Exception as problem:  # decoders of damaged files raise anything
        raise damaged(name, form, problem) from problem


def _within_limits(data: bytes, form: Format, name: str, limits: Limits) -> ImageFile | None:
    """Checks a file against the limits with our own header parsers; returns Pillow's image if it preserves all samples.

    TIFF is checked by OpenImageIO, which opens it without decoding: unlike photos, depth may be floats or BigTIFF.
    """
    if form.name == "TIFF":
        return None
    if form.name == "EXR":
        exr_head = exr.read_exr_header(data)
        limits.check_picture(name, *exr_head.size)
        limits.check_metadata(name, None, None, exr_head.xmp)
        return None
    head = header(data, form, name)
    limits.check_picture(name, *head.size, progressive_jpeg=head.progressive_jpeg)
    limits.check_metadata(name, *(head.info.get(key) for key in ("exif", "icc_profile", "xmp")))
    image = head.image
    if image is None or "transparency" in image.info:
        return None
    return image if image.mode == "I;16" or (image.mode in _CHANNELS and not head.deep) else None


def _of_pillow(image: ImageFile, form: Format) -> StoredSamples:
    """8-bit samples, or 16-bit grey, without a second parser and its temporary file."""
    image.load()
    values = np.asarray(image)
    planes = values[..., None] if values.ndim == 2 else values
    return StoredSamples(planes, _CHANNELS[image.mode], str(image.info.get("Description", "")), form.name)


def _of_openimageio(data: bytes, form: Format, name: str, limits: Limits, kind: str | None) -> StoredSamples:
    def check(width: int, height: int, channels: int) -> None:
        limits.check_picture(name, width, height)
        if not 1 <= channels <= MOST_CHANNELS:
            raise PhotoError(
                f"{name} has {channels} channels, expected 1 to {MOST_CHANNELS}; leave the others out"
            )

    stored = stored_samples(data, form.suffixes[0], kind, check=check)
    values: npt.NDArray[Any]
    values = stored.samples.astype(np.float32) if stored.samples.dtype == np.float16 else stored.samples
    white_is_zero = stored.attributes.get("tiff:PhotometricInterpretation") == WHITE_IS_ZERO
    if white_is_zero and stored.kind != "uint8":  # OpenImageIO turns these round itself
        most: Any = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
        values = most - values
    return StoredSamples(
        values, stored.channels, str(stored.attributes.get("ImageDescription", "")), form.name
    )


def grey_bytes(codes: npt.NDArray[np.uint16], suffix: str = ".png", description: str = "") -> bytes:
    """A grey PNG or TIFF (suffix ".png", ".tif" or ".tiff") of 16-bit codes (H, W), with a description tag."""
    from PIL import Image, PngImagePlugin

    file, picture = io.BytesIO(), Image.fromarray(codes)
    if suffix != ".png":
        picture.save(file, "TIFF", tiffinfo={270: description}, compression="tiff_adobe_deflate")
    elif description:
        tags = PngImagePlugin.PngInfo()
        tags.add_text("Description", description)
        picture.save(file, "PNG", pnginfo=tags)
    else:
        picture.save(file, "PNG")
    return file.getvalue()


def plane_bytes(values: npt.NDArray[np.float32], channel: str, attributes: Mapping[str, Any]) -> bytes:
    """An EXR with one channel of floats (H, W). attributes: see `stored_bytes`. Raises OSError."""
    return stored_bytes(values[..., None], ".exr", "float", (channel,), attributes)
