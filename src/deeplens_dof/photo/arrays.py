"""numpy arrays of sRGB pixels as photos, and photos as arrays of the same kind."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import linear_to_srgb
from deeplens_dof.photo import Photo
from deeplens_dof.photo.bit_depth import alpha_as

_SHAPES = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"


def as_photo(array: npt.NDArray[Any]) -> Photo:
    """An array of sRGB pixels as a photo; floats are clipped to 0..1, with a warning, and kept at 16 bits.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8, uint16 or floats.

    Raises:
        ValueError: another shape or type, NaN or infinity, or floats that look like 0..255.
    """
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(f"the picture has shape {array.shape}, expected {_SHAPES} and at least one pixel")
    colour = array[..., None] if array.ndim == 2 else array[..., : min(3, array.shape[2])]
    alpha = array[..., 3] if array.ndim == 3 and array.shape[2] == 4 else None
    if colour.dtype.kind == "f":
        colour, alpha = _at_16_bits(colour), None if alpha is None else _at_16_bits(alpha)
    elif colour.dtype.kind != "u" or colour.dtype.itemsize > 2:
        raise ValueError(
            f"the picture is of type {array.dtype}, expected uint8, uint16 or a float type in 0..1"
        )
    native = np.broadcast_to(colour, (*colour.shape[:2], 3)).astype(colour.dtype.newbyteorder("="))
    if alpha is not None:
        alpha = np.ascontiguousarray(alpha.astype(native.dtype))
    return Photo(np.ascontiguousarray(native), alpha, source="the array")


def like(
    original: npt.NDArray[Any],
    linear: npt.NDArray[np.float32],
    alpha: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[Any]:
    """Linear light (H, W, 3) as sRGB in the shape and type of `original`, with this alpha (H, W) 0..1, or its own."""
    if original.ndim == 2 or original.shape[2] == 1:
        linear = linear[..., 1] if original.ndim == 2 else linear[..., 1:2]
    encoded = linear_to_srgb(linear, original.dtype.newbyteorder("=")).astype(original.dtype, copy=False)
    if original.ndim == 3 and original.shape[2] == 4:
        cover = original[..., 3] if alpha is None else alpha_as(alpha, original.dtype.newbyteorder("="))
        return np.concatenate((encoded, cover[..., None]), axis=2, dtype=original.dtype, casting="unsafe")
    return encoded


def _at_16_bits(colour: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    if not np.isfinite(colour).all():
        raise ValueError("the picture holds NaN or infinite values, expected sRGB from 0 to 1")
    if float(np.abs(colour).max()) > 16:
        raise ValueError(
            f"the picture is of type {colour.dtype} with values up to {float(np.abs(colour).max()):g}, "
            "expected sRGB from 0 to 1; divide it by its full scale, or give uint8 or uint16"
        )
    low, high = float(colour.min()), float(colour.max())
    if low < 0 or high > 1:
        warnings.warn(
            f"the picture holds values from {low:g} to {high:g}, expected sRGB from 0 to 1; values beyond were clipped",
            stacklevel=4,
        )
    codes: npt.NDArray[np.uint16] = np.rint(np.clip(colour.astype(np.float32), 0, 1) * 65535).astype(
        np.uint16
    )
    return codes
