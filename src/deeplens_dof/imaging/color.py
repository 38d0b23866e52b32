"""sRGB and linear light (IEC 61966-2-1): pure arithmetic, exact for 8 and 16 bits there and back.

The curve is applied to each channel on its own. The primaries do not change, so that a Display-P3 photo, which has the same
curve, stays Display-P3.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.types import Array

# Steps of the table that encodes to 8 bits. It runs over the square root of the light, where dark codes are wide.
_STEPS = 65535
_BAND = 1 << 16  # numbers processed at once, so that they stay in the processor's cache


def check_srgb8(rgb: Any) -> None:
    """Raises ValueError for anything but a picture of sRGB uint8 (H, W, 3)."""
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        raise ValueError(f"the picture is {kind}, expected a numpy array of sRGB uint8; convert it first")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(
            f"the picture has shape {rgb.shape}, expected (height, width, 3), both sides at least 1"
        )


def srgb_to_linear(encoded: npt.NDArray[Any]) -> Array:
    """sRGB values of any shape, uint8 or uint16 (full scale) or floats (0..1), to float32 linear light."""
    if encoded.dtype in (np.uint8, np.uint16):
        linear: Array = _linear_table(encoded.dtype.name)[encoded]
        return linear
    return _decode(np.asarray(encoded, np.float32)).astype(np.float32)


def linear_to_srgb(linear: Array, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
    """Linear light of any shape to sRGB.

    Args:
        linear: floats.
        dtype: uint8 or uint16, rounded and clipped, NaN becomes 0; or a float type, in which values may exceed 1.

    Raises:
        ValueError: for another type.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return _encode(np.asarray(linear, np.float32)).astype(kind)
    if kind not in (np.uint8, np.uint16):
        raise ValueError(
            f"sRGB pixels of type {kind} are not supported; ask for uint8, uint16 or a float type"
        )
    light = np.ascontiguousarray(linear, np.float32).reshape(-1)
    codes = np.empty(light.shape, kind)
    encode = _encode_bytes if kind == np.uint8 else _encode_deep
    for start in range(0, light.size, _BAND):
        band = np.fmin(np.fmax(light[start : start + _BAND], np.float32(0)), np.float32(1))
        encode(band, codes[start : start + _BAND])
    return codes.reshape(np.shape(linear))


def luminance(linear: Array) -> Array:
    """Relative luminance (Rec. 709 weights) of (..., 3) linear light."""
    weighted: Array = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return weighted


def _encode_bytes(light: Array, out: npt.NDArray[np.uint8]) -> None:
    """0..1 to codes by a table whose error is below 0.003 of a code. Overwrites `light`."""
    np.sqrt(light, out=light)
    light *= np.float32(_STEPS)
    light += np.float32(0.5)
    np.take(_byte_table(), light.astype(np.uint16), out=out, mode="clip")


def _encode_deep(light: Array, out: npt.NDArray[np.uint16]) -> None:
    out[:] = np.rint(_encode(light) * np.float32(65535))


def _decode(encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
    magnitude = np.abs(encoded)
    value = np.where(magnitude <= 0.04045, magnitude / 12.92, ((magnitude + 0.055) / 1.055) ** 2.4)
    signed: npt.NDArray[Any] = np.copysign(value, encoded)
    return signed


def _encode(linear: npt.NDArray[Any]) -> npt.NDArray[Any]:
    magnitude = np.abs(linear)
    value = np.where(magnitude <= 0.0031308, 12.92 * magnitude, 1.055 * magnitude ** (1 / 2.4) - 0.055)
    signed: npt.NDArray[Any] = np.copysign(value, linear)
    return signed


@cache
def _linear_table(dtype: str) -> Array:
    top = np.iinfo(dtype).max
    return _decode(np.arange(top + 1, dtype=np.float64) / top).astype(np.float32)


@cache
def _byte_table() -> npt.NDArray[np.uint8]:
    light = (np.arange(_STEPS + 1, dtype=np.float64) / _STEPS) ** 2
    codes: npt.NDArray[np.uint8] = np.rint(_encode(light) * 255).astype(np.uint8)
    return codes
