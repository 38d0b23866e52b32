"""Stored samples of picture files: depth maps, masks and measured light, within the limits of photos.

A photo (see read.py) is upright RGB with a colour profile; these are the numbers of a file as they are, in as many
channels as there are.
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


class Samples(NamedTuple):
    """Samples of a picture as they are stored.

    values: (H, W, channels), of the file's own type or the one that was asked for; half floats become float32.
    channels: their names: Y, or R, G, B, and A; of EXR the file's own. description: the text tag ImageDescription
    (TIFF, EXR) or Description (PNG), "" without one. format: "PNG", "TIFF", "JPEG" or "EXR".
    """

    values: npt.NDArray[Any]
    channels: tuple[str, ...]
    description: str
    format: str


def sample_format(head: bytes) -> Format | None:
    """The format of a file whose samples can be read, from its first SIGNATURE_BYTES bytes; None for any other."""
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
) -> Samples:
    """The samples of a PNG, TIFF, JPEG or EXR file, told by its content. Orientation is not applied.

    The file, its header and its metadata are held to `limits` before a pixel is decoded, as a photo's are.

    Args:
        source: a path, or the bytes of a file.
        limits: bounds on bytes, pixels and metadata.
        formats: those of SAMPLE_FORMATS that are accepted.
        kind: "float" for float32, with integers as 0..1; None for the file's own type.
        name: of the file in messages; None is its path.

    Raises:
        PhotoError: one sentence, for a file that is none of these, too large or damaged.
    """
    name = name or shown(source)
    data = bytes_of(source, limits)
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
    """Holds a file to the limits by our own readers of headers; Pillow's image where that keeps all samples as they are.

    TIFF is left to OpenImageIO, which opens it without decoding: depth may be of floats, and in BigTIFF, which photos
    may not.
    """
    if form.name == "TIFF":
        return None
    if form.name == "EXR":
        facts = exr.facts(data)
        limits.check_picture(name, *facts.size)
        limits.check_metadata(name, None, None, facts.xmp)
        return None
    head = header(data, form, name)
    limits.check_picture(name, *head.size, progressive_jpeg=head.progressive_jpeg)
    limits.check_metadata(name, *(head.info.get(key) for key in ("exif", "icc_profile", "xmp")))
    image = head.image
    if image is None or "transparency" in image.info:
        return None
    return image if image.mode == "I;16" or (image.mode in _CHANNELS and not head.deep) else None


def _of_pillow(image: ImageFile, form: Format) -> Samples:
    """8-bit samples, or grey of 16 bits, without a second parser and its temporary file."""
    image.load()
    values = np.asarray(image)
    planes = values[..., None] if values.ndim == 2 else values
    return Samples(planes, _CHANNELS[image.mode], str(image.info.get("Description", "")), form.name)


def _of_openimageio(data: bytes, form: Format, name: str, limits: Limits, kind: str | None) -> Samples:
    def check(width: int, height: int, channels: int) -> None:
        limits.check_picture(name, width, height)
        if not 1 <= channels <= MOST_CHANNELS:
            raise PhotoError(
                f"{name} has {channels} channels, expected 1 to {MOST_CHANNELS}; leave the others out"
            )

    stored = stored_samples(data, form.suffixes[0], kind, check=check)
    values = stored.samples.astype(np.float32) if stored.samples.dtype == np.float16 else stored.samples
    return Samples(values, stored.channels, str(stored.attributes.get("ImageDescription", "")), form.name)


def grey_bytes(codes: npt.NDArray[np.uint16], suffix: str = ".png", description: str = "") -> bytes:
    """A grey PNG or TIFF (suffix ".png", ".tif" or ".tiff") of 16-bit codes (H, W), with a text in its description tag."""
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
    """An EXR of one channel of floats (H, W). attributes: see `stored_bytes`. Raises OSError."""
    return stored_bytes(values[..., None], ".exr", "float", (channel,), attributes)
