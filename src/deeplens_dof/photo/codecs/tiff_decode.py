"""Stored samples of a TIFF page as the colours that they mean: grey either way round, RGB, inks, Lab, and floats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.photo.codecs import tiff_page
from deeplens_dof.photo.codecs.decode import from_grey, from_inks, straightened
from deeplens_dof.photo.codecs.oiio import stored_samples
from deeplens_dof.photo.codecs.tiff_page import TiffPage
from deeplens_dof.photo.contents import Decoded, Pixels
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata import icc
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.metadata.primaries import REC709, colorants_of, to_rec709

_D50 = (0.9642, 1.0, 0.8249)


def decode_page(data: bytes, page: TiffPage, orientation: int, name: str) -> Decoded:
    """The first page of a TIFF whose samples are `stored_plainly`.

    Raises PhotoError for NaN, infinity and compressions that are not read, ValueError for a damaged file.
    """
    try:
        stored = stored_samples(data, ".tif", raw=True)
    except ValueError as problem:
        if page.compression:
            raise tiff_page.unread_compression(name, page) from problem
        raise
    samples = upright(stored.samples, orientation)
    if page.color == tiff_page.WHITE_IS_ZERO and samples.dtype == np.uint8:
        samples = 255 - samples  # OpenImageIO turns these round, alpha with them
    alpha = None if page.alpha < 0 else np.ascontiguousarray(samples[..., page.alpha])
    color = np.ascontiguousarray(samples[..., : page.channels])
    if page.kind == tiff_page.FLOAT:
        return _from_floats(color, alpha, page, name)
    if alpha is not None and page.associated:
        color = _straightened(color, alpha, page)
    if page.color == tiff_page.WHITE_IS_ZERO:
        color = np.iinfo(color.dtype).max - color
    if page.channels == 1:
        return from_grey(color[..., 0], alpha, page.icc)
    if page.color == tiff_page.INKS:
        return from_inks(color, alpha, page.icc)
    if page.color in (tiff_page.CIELAB, tiff_page.ICCLAB):
        return Decoded(_from_lab(color, page.color == tiff_page.ICCLAB), _at_16_bits(alpha))
    return Decoded(color, alpha, icc.fitting(page.icc, 3))


def _straightened(color: Pixels, alpha: Pixels, page: TiffPage) -> Pixels:
    """Colour divided by its alpha. Where white is zero, codes are multiplied, so none exceeds its alpha; a file in which
    some do had its light multiplied before it was turned round.
    """
    if page.color == tiff_page.WHITE_IS_ZERO and (color[..., 0] > alpha).any():
        most = np.iinfo(color.dtype).max
        turned: Pixels = most - straightened(most - color, alpha)
        return turned
    return straightened(color, alpha)


def _from_floats(color: Pixels, alpha: Pixels | None, page: TiffPage, name: str) -> Decoded:
    """Linear light in Rec. 709 primaries: floats are linear unless a profile says otherwise."""
    light: Pixels = color.astype(np.float32)
    cover = None if alpha is None else alpha.astype(np.float32)
    unknown = int((~np.isfinite(light)).any(axis=2).sum())
    if unknown or (cover is not None and not np.isfinite(cover).all()):
        raise PhotoError(
            f"{name} has {unknown:,} pixels with NaN or infinity, expected finite light everywhere; fill them first"
        )
    if cover is not None and page.associated:  # curves are of straight colours
        light = light / np.where(cover > 0, cover, np.float32(1))[..., None]
    if page.color == tiff_page.WHITE_IS_ZERO:
        light = 1 - light
    profile = icc.profile(page.icc) if page.icc else None
    wanted = "GRAY" if page.channels == 1 else "RGB "
    if profile is not None and profile.color_space == wanted:
        light = _linear(light, profile)
    if page.channels == 1:
        light = np.repeat(light, 3, axis=2)
    elif profile is not None and profile.colorants is not None:
        light = to_rec709(light, profile.colorants)
    if cover is not None:
        cover = np.clip(cover, 0, 1)
        light = light * cover[..., None]
    return Decoded(np.ascontiguousarray(light, np.float32), cover)


def _linear(light: Pixels, profile: icc.Profile) -> Pixels:
    """Values through the curves of a profile, which end at 0 and 1: values beyond them are continued as they are."""
    if profile.curves is None:
        return srgb_to_linear(light)
    codes, out = np.linspace(0, 1, 65536), np.empty_like(light)
    for channel in range(light.shape[2]):
        values = light[..., channel]
        curve = profile.curves[min(channel, len(profile.curves) - 1)]
        inside = np.interp(values, codes, curve.values)
        out[..., channel] = np.where((values < 0) | (values > 1), values, inside)
    return out


def _from_lab(samples: Pixels, icc_lab: bool) -> npt.NDArray[np.uint16]:
    """CIE L*a*b* (D50) as sRGB codes. In CIELab a and b are signed, in ICCLab they are shifted, and L ends at 0xFF00."""
    bits = 8 * samples.dtype.itemsize
    one = 1 << (bits - 8)  # of a and b
    most = 255 * one if icc_lab else (1 << bits) - 1
    lightness = samples[..., 0].astype(np.float64) * (100 / most)
    if icc_lab:
        a, b = (samples[..., i].astype(np.float64) / one - 128 for i in (1, 2))
    else:
        a, b = (samples[..., i].view(f"i{bits // 8}").astype(np.float64) / one for i in (1, 2))
    middle = (lightness + 16) / 116
    roots = np.stack((middle + a / 500, middle, middle - b / 200), axis=2)
    ratio = np.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * (3 * (6 / 29) ** 2))
    own = colorants_of(REC709)
    assert own is not None
    light = (ratio * np.array(_D50)) @ np.linalg.inv(own)
    codes: npt.NDArray[np.uint16] = linear_to_srgb(light.astype(np.float32), np.uint16)
    return codes


def _at_16_bits(alpha: Pixels | None) -> Pixels | None:
    return alpha if alpha is None or alpha.dtype == np.uint16 else alpha.astype(np.uint16) * np.uint16(257)
