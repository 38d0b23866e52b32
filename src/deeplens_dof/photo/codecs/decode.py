"""Decoded pixels in the form of a photo: upright RGB of 8 or 16 bits, separate alpha, a matching ICC profile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from deeplens_dof.photo.bit_depth import alpha_as, rounded_to_8_bits
from deeplens_dof.photo.codecs import jxl
from deeplens_dof.photo.codecs.header import Header
from deeplens_dof.photo.codecs.oiio import stored_samples
from deeplens_dof.photo.contents import Decoded, Pixels
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata import icc
from deeplens_dof.photo.metadata.orientation import upright, upright_image

if TYPE_CHECKING:
    from PIL import Image


def from_pillow(image: Image.Image, orientation: int, profile: bytes | None, name: str) -> Decoded:
    """A loaded Pillow image of any 8-bit mode or 16-bit grey. Raises PhotoError for other sample types."""
    if image.mode.startswith("I;16"):
        grey = upright(np.asarray(image).astype(np.uint16), orientation)
        return from_grey(grey, None, profile)
    if image.mode in ("I", "F"):
        raise PhotoError(f"{name} holds 32-bit numbers, expected 8 or 16 bits a channel; convert it")
    image = upright_image(image, orientation)
    if image.mode == "CMYK":
        return from_inks(np.asarray(image), None, profile)
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    image = image if straight is None else image.convert(straight)
    grey_profile = icc.fitting(profile, 1)
    has_alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    wanted = "RGBA" if has_alpha else "RGB"
    rgba = np.array(
        image if image.mode == wanted and "transparency" not in image.info else image.convert(wanted)
    )
    alpha = np.ascontiguousarray(rgba[..., 3]) if has_alpha else None
    pixels = np.ascontiguousarray(rgba[..., :3])
    if grey_profile is not None and image.mode in ("1", "L", "LA"):
        return from_grey(pixels[..., 0], alpha, grey_profile)
    return Decoded(pixels, alpha, icc.fitting(profile, 3))


def from_deep_file(data: bytes, head: Header, orientation: int, profile: bytes | None) -> Decoded:
    """A 16-bit PNG through OpenImageIO, which keeps all 16 bits. Raises ValueError for a damaged file."""
    file = stored_samples(data, head.format.suffixes[0], "uint16")
    stored, alpha_channel = file.samples, file.alpha_channel
    samples = upright(stored, orientation)
    return from_samples(samples, alpha_channel, False, profile)


def from_samples(
    samples: Pixels, alpha_channel: int, alpha_premultiplied: bool, profile: bytes | None
) -> Decoded:
    """Upright samples (H, W, channels), uint8 or uint16, of grey or RGB. alpha_channel: its index, -1 for none."""
    channels = samples.shape[2]
    color = [c for c in range(channels) if c != alpha_channel]
    alpha = None if alpha_channel < 0 else np.ascontiguousarray(samples[..., alpha_channel])
    color = color[:3] if len(color) >= 3 else color[:1]
    pixels = samples if channels == len(color) else np.ascontiguousarray(samples[..., color])
    if alpha is not None and alpha_premultiplied:
        pixels = straightened(pixels, alpha)
    if len(color) == 1:
        return from_grey(pixels[..., 0], alpha, profile)
    return Decoded(pixels, alpha, icc.fitting(profile, 3))


def from_jxl(data: bytes, name: str) -> Decoded:
    """A JPEG XL of 8 or 16 bits. Raises PhotoError for channels that are not grey or RGB, ValueError for a damaged file."""
    file = jxl.stored(data)
    color = [c for c in range(len(file.channels)) if c != file.alpha_channel]
    if len(color) not in (1, 3):
        raise PhotoError(
            f"{name} has the channels {', '.join(file.channels)}, expected colour or grey; convert it"
        )
    alpha = None if file.alpha_channel < 0 else np.ascontiguousarray(file.samples[..., file.alpha_channel])
    if len(color) == 1:
        return from_grey(file.samples[..., color[0]], alpha, file.icc)
    return Decoded(np.ascontiguousarray(file.samples[..., :3]), alpha, icc.fitting(file.icc, 3))


def from_grey(grey: Pixels, alpha: Pixels | None, profile: bytes | None) -> Decoded:
    """Grey as RGB. A grey profile cannot describe RGB, so its curve is replaced by that of sRGB; one of RGB stays."""
    fitting = icc.fitting(profile, 1)
    if fitting is not None:
        grey = icc.grey_to_srgb(grey, fitting)
    return Decoded(np.repeat(grey[..., None], 3, axis=2), alpha, icc.fitting(profile, 3))


def from_inks(inks: Pixels, alpha: Pixels | None, profile: bytes | None) -> Decoded:
    """Cyan, magenta, yellow and black (H, W, 4) as sRGB: through their profile at 8 bits, else as 1 - ink."""
    from PIL import Image

    press = icc.fitting(profile, 4)
    if press is not None:
        eight = inks if inks.dtype == np.uint8 else rounded_to_8_bits(inks)
        converted = to_srgb(Image.fromarray(np.ascontiguousarray(eight), "CMYK"), press)
        if converted is not None:
            return Decoded(
                np.array(converted), None if alpha is None else alpha_as(alpha, np.uint8), icc.srgb_profile()
            )
    if inks.dtype == np.uint8:
        plain = np.array(Image.fromarray(np.ascontiguousarray(inks), "CMYK").convert("RGB"))
    else:
        most = np.float64(np.iinfo(inks.dtype).max)
        paper = (most - inks[..., :3]) * ((most - inks[..., 3:]) / most)
        plain = np.rint(paper).astype(inks.dtype)
    return Decoded(plain, alpha, icc.srgb_profile())


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """`image` in sRGB: relative colorimetric with black point compensation. None when littlecms rejects the profile."""
    from PIL import ImageCms

    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(icc.srgb_profile())),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None


def straightened(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Premultiplied colour divided by its alpha; unchanged where alpha is 0."""
    most = np.iinfo(pixels.dtype).max
    divisor = np.maximum(alpha, 1).astype(np.float64)[..., None]
    straight = np.rint(pixels * (most / divisor))
    return np.where(alpha[..., None] > 0, np.minimum(straight, most), pixels).astype(pixels.dtype)
