"""Conversion of pixels and alpha between uint8 codes, uint16 codes and float32 linear light."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import linear_to_srgb
from deeplens_dof.photo.contents import Contents, Pixels


def rounded_to_8_bits(pixels: Pixels) -> Pixels:
    """Pixels as uint8: 16-bit codes are divided by 257 and rounded, linear light is encoded with the sRGB curve."""
    if pixels.dtype.kind == "f":
        return linear_to_srgb(pixels, np.uint8)
    return _ROUNDED[pixels] if pixels.dtype == np.uint16 else pixels


def alpha_as(alpha: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """Alpha, which is linear, as uint8, uint16 or floats with a full scale of 255, 65535 or 1."""
    kind = np.dtype(dtype)
    if alpha.dtype == kind:
        return alpha
    if alpha.dtype == np.uint8 and kind == np.uint16:
        return alpha.astype(np.uint16) * np.uint16(257)
    if alpha.dtype == np.uint16 and kind == np.uint8:
        return _ROUNDED[alpha]
    if kind.kind == "f":
        whole = np.float32(1 if alpha.dtype.kind == "f" else _top(alpha.dtype))
        return (alpha / whole).astype(kind)
    return np.rint(np.clip(alpha, 0, 1) * np.float32(_top(kind))).astype(kind)


def as_codes(contents: Contents, dtype: npt.DTypeLike) -> Contents:
    """Contents in linear light as unassociated sRGB codes, clipped to 0..1; other contents unchanged."""
    if contents.pixels.dtype.kind != "f":
        return contents
    light, alpha = contents.pixels, contents.alpha
    if alpha is not None:
        light = light / np.where(alpha > 0, alpha, np.float32(1))[..., None]
        alpha = alpha_as(alpha, dtype)
    return replace(contents, pixels=linear_to_srgb(light, dtype), alpha=alpha)


def _top(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max)


_ROUNDED = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
