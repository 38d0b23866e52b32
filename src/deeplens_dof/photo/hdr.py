"""HDR pictures: PQ (SMPTE ST 2084) and HLG (ITU-R BT.2100) codes to linear light and back, and tone mapping.

Light is relative to diffuse white, which is 203 cd/m2 (ITU-R BT.2408), so that an HDR photo is as bright as any other.
HLG is taken as on a display of 1,000 cd/m2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.bit_depth import alpha_as
from deeplens_dof.photo.contents import Contents, Decoded
from deeplens_dof.photo.metadata.named_colors import PQ, NamedColors
from deeplens_dof.photo.metadata.primaries import from_rec709, to_rec709
from deeplens_dof.types import Image

_WHITE, _PQ_PEAK, _HLG_PEAK = 203.0, 10_000.0, 1000.0  # cd/m2
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_SYSTEM_GAMMA = 1.2
_KNEE = 0.75  # of white: darker light is not changed by tone mapping
_BAND_ROWS = 64


def light_of(decoded: Decoded, colors: NamedColors) -> Decoded:
    """HDR codes as float32 linear light in Rec. 709 primaries, 1 is diffuse white, multiplied by alpha."""
    most = np.float32(np.iinfo(decoded.pixels.dtype).max)
    light = np.empty(decoded.pixels.shape, np.float32)
    for top in range(0, len(light), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        codes = decoded.pixels[rows].astype(np.float64) / most
        light[rows] = _from_pq(codes) if colors.transfer == PQ else _from_hlg(codes, colors)
    light = to_rec709(light, colors.colorants)
    if decoded.alpha is None:
        return Decoded(light, None)
    alpha = alpha_as(decoded.alpha, np.float32)
    return Decoded(light * alpha[..., None], alpha)


def as_hdr_codes(contents: Contents, colors: NamedColors) -> Contents:
    """Linear light as unassociated HDR codes, uint16: the inverse of `light_of`, clipped to what the codes hold."""
    light, alpha = contents.pixels, contents.alpha
    if alpha is not None:
        light = light / np.where(alpha > 0, alpha, np.float32(1))[..., None]
        alpha = alpha_as(alpha, np.uint16)
    own = from_rec709(light, colors.colorants)
    codes = np.empty(light.shape, np.uint16)
    for top in range(0, len(codes), _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        band = np.maximum(own[rows].astype(np.float64), 0)
        values = _to_pq(band) if colors.transfer == PQ else _to_hlg(band, colors)
        codes[rows] = np.rint(np.clip(values, 0, 1) * 65535)
    return replace(contents, pixels=codes, alpha=alpha)


def tone_mapped(light: Image) -> Image:
    """Light with what is brighter than three quarters of white compressed so that the brightest is white; hues are kept."""
    brightest = light.max(axis=2, keepdims=True)
    peak = float(brightest.max())
    if peak <= 1:
        return light
    span = (peak - _KNEE) / (1 - _KNEE)
    above = np.maximum(brightest - np.float32(_KNEE), 0) / np.float32(1 - _KNEE)
    mapped = _KNEE + (1 - _KNEE) * above * (1 + above / span**2) / (1 + above)
    scale = np.where(brightest > _KNEE, mapped / np.maximum(brightest, np.float32(1e-6)), 1)
    out: Image = (light * scale).astype(np.float32)
    return out


def _from_pq(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    root = codes ** (1 / _M2)
    return np.asarray((np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1) * (_PQ_PEAK / _WHITE))


def _to_pq(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    power = (light * (_WHITE / _PQ_PEAK)) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _from_hlg(codes: npt.NDArray[np.float64], colors: NamedColors) -> npt.NDArray[np.float64]:
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - _C) / _A) + _B) / 12)
    luminance = scene @ colors.colorants[:, 1]
    return np.asarray(scene * luminance[..., None] ** (_SYSTEM_GAMMA - 1) * (_HLG_PEAK / _WHITE))


def _to_hlg(light: npt.NDArray[np.float64], colors: NamedColors) -> npt.NDArray[np.float64]:
    shown = light * (_WHITE / _HLG_PEAK)
    luminance = np.maximum(shown @ colors.colorants[:, 1], 1e-12)
    scene = shown * luminance[..., None] ** ((1 - _SYSTEM_GAMMA) / _SYSTEM_GAMMA)
    with np.errstate(invalid="ignore", divide="ignore"):
        bright = _A * np.log(np.maximum(12 * scene - _B, 1e-12)) + _C
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
