"""Tone curves: encoded values to linear light and back by tables, lossless for 8 and 16 bits.

A curve is stored as its 65,536 values at 16-bit codes. Its inverse is tabulated over the square root of the light, which
spreads the dark codes as far apart as a power curve packs them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.types import Image

_CODES = 65535
_NODES = 1 << 18
_BAND_ROWS = 32  # rows worked on at once, so that they stay in the processor's cache


class ToneCurve:
    """The curve of one channel. values: float64 (65536,), linear light 0..1 at each 16-bit code, made monotone."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        self.values = np.maximum.accumulate(np.clip(values, 0, 1))

    @cached_property
    def is_srgb(self) -> bool:
        """Whether this is the curve of sRGB and Display-P3, within the 0.05 % by which tables of it differ."""
        return bool(np.abs(self.values - srgb_curve()).max() < 5e-4)

    def table(self, dtype: npt.DTypeLike) -> npt.NDArray[np.float32]:
        """Linear light of each code of that type."""
        return (self.values[::257] if np.dtype(dtype) == np.uint8 else self.values).astype(np.float32)

    def encode_band(self, linear: Image, out: npt.NDArray[Any]) -> None:
        """Linear light of any shape as codes of out's type; clipped to 0..1, NaN becomes 0."""
        root = np.fmin(np.fmax(linear, np.float32(0)), np.float32(1))
        np.sqrt(root, out=root)
        if out.dtype == np.uint8:
            root *= np.float32(_CODES)
            root += np.float32(0.5)
            np.take(self._bytes, root.astype(np.uint16), out=out, mode="clip")
            return
        root *= np.float32(_NODES)
        index = root.astype(np.int32)
        root -= index
        low, step = self._nodes
        out[...] = np.rint(low[index] + step[index] * root)

    @cached_property
    def _bytes(self) -> npt.NDArray[np.uint8]:
        return np.rint(self._inverse(_CODES) * (255 / _CODES)).astype(np.uint8)

    @cached_property
    def _nodes(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        nodes = self._inverse(_NODES)
        return nodes.astype(np.float32), np.append(np.diff(nodes), 0).astype(np.float32)

    def _inverse(self, steps: int) -> npt.NDArray[np.float64]:
        """16-bit codes, not rounded, at steps + 1 square roots of light from 0 to 1."""
        light = np.linspace(0, 1, steps + 1) ** 2
        codes = np.interp(light, self.values, np.arange(_CODES + 1, dtype=np.float64))
        codes[0] = 0  # of the codes that a coarse table gives no light at all, black is the first
        return codes


Curves = Sequence[ToneCurve] | None  # of the three channels; None is the sRGB curve


def srgb_curve() -> npt.NDArray[np.float64]:
    return srgb_to_linear(np.arange(_CODES + 1, dtype=np.uint16)).astype(np.float64)


def decoded(pixels: npt.NDArray[Any], curves: Curves) -> Image:
    """uint8 or uint16 (H, W, 3) to float32 linear light of the same primaries."""
    if curves is None:
        return srgb_to_linear(pixels)
    tables = [curve.table(pixels.dtype) for curve in curves]
    linear: Image
    if all(curve is curves[0] for curve in curves):
        linear = tables[0][pixels]
        return linear
    linear = np.empty(pixels.shape, np.float32)
    for channel, table in enumerate(tables):
        linear[..., channel] = table[pixels[..., channel]]
    return linear


def encoded(linear: Image, dtype: npt.DTypeLike, curves: Curves) -> npt.NDArray[Any]:
    """float32 (H, W, 3) linear light to uint8 or uint16, the inverse of `decoded`; clipped to 0..1."""
    if curves is None:
        return linear_to_srgb(linear, dtype)
    out = np.empty(linear.shape, dtype)
    same = all(curve is curves[0] for curve in curves)
    for top in range(0, len(linear), _BAND_ROWS):
        rows, band = linear[top : top + _BAND_ROWS], out[top : top + _BAND_ROWS]
        if same:
            curves[0].encode_band(rows, band)
            continue
        for channel, curve in enumerate(curves):
            codes = np.empty(band.shape[:2], dtype)
            curve.encode_band(rows[..., channel], codes)
            band[..., channel] = codes
    return out
