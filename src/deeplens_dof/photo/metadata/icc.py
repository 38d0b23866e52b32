"""ICC profiles (ICC.1:2022): only the tags that define how a matrix/TRC or grey profile encodes light.

littlecms does the colour conversion. Every length in the file is checked before it is used.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.contents import Pixels
from deeplens_dof.photo.tone import ToneCurve

_MOST_TAGS = 200
_MOST_CURVE_POINTS = 65536
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
# Columns of sRGB's matrix to the connection space (D50), as IEC 61966-2-1 profiles hold them.
_SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """color_space: the four letters of the header ("RGB ", "GRAY", "CMYK", ...).

    curves: of red, green and blue, or one of grey; None when there are none or all are sRGB's.
    colorants: XYZ (D50) of red, green and blue; None when the profile has no matrix.
    """

    color_space: str
    curves: tuple[ToneCurve, ...] | None
    colorants: npt.NDArray[np.float64] | None

    @property
    def is_srgb(self) -> bool:
        """Whether pixels under this profile are sRGB pixels, within 0.002 of its colorants."""
        if self.colorants is None or self.curves is not None:
            return False
        return bool(np.abs(self.colorants - np.array(_SRGB_COLORANTS)).max() < 2e-3)


@lru_cache(maxsize=16)
def profile(icc: bytes) -> Profile | None:
    """The parsed profile; None when the bytes are not a profile."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return None
    tags = _tags(icc)
    names = (b"kTRC",) if icc[16:20] == b"GRAY" else (b"rTRC", b"gTRC", b"bTRC")
    blocks = [tags.get(name, b"") for name in names]
    parsed = {block: _curve(block) for block in set(blocks)}  # one curve for equal blocks
    curves = [parsed[block] for block in blocks]
    known = [curve for curve in curves if curve is not None]
    usable = len(known) == len(names) and not all(curve.is_srgb for curve in known)
    colorants = [_xyz(tags.get(name, b"")) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    columns = [c for c in colorants if c is not None]
    return Profile(
        color_space=icc[16:20].decode("latin-1"),
        curves=tuple(known) if usable else None,
        colorants=np.array(columns) if len(columns) == 3 else None,
    )


def fitting(icc: bytes | None, channels: int) -> bytes | None:
    """The profile if it describes pixels with that many channels (1, 3 or 4), else None."""
    found = profile(icc) if icc else None
    wanted = {1: ("GRAY",), 3: ("RGB ",), 4: ("CMYK",)}[channels]
    return icc if found is not None and found.color_space in wanted else None


def grey_to_srgb(grey: Pixels, icc: bytes) -> Pixels:
    """Grey codes under a grey profile as sRGB codes of the same light and type."""
    found = profile(icc)
    if found is None or found.curves is None:
        return grey
    from deeplens_dof.imaging.color import linear_to_srgb

    table = linear_to_srgb(found.curves[0].table(grey.dtype), grey.dtype)
    return table[grey]


@cache
def srgb_profile() -> bytes:
    """littlecms' sRGB profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    tags: dict[bytes, bytes] = {}
    for i in range(min(count, _MOST_TAGS)):
        at = 132 + 12 * i
        if at + 12 > len(icc):
            break
        name, offset, size = struct.unpack_from(">4sII", icc, at)
        if offset + size <= len(icc):
            tags[name] = icc[offset : offset + size]
    return tags


def _xyz(block: bytes) -> tuple[float, float, float] | None:
    if len(block) < 20 or block[:4] != b"XYZ ":
        return None
    x, y, z = (v / 65536 for v in struct.unpack_from(">3i", block, 8))
    return x, y, z


def _curve(block: bytes) -> ToneCurve | None:
    """A `curv` or `para` tag (sections 10.6 and 10.18); None when it is neither, cut off or not a curve."""
    values = None
    if block[:4] == b"curv" and len(block) >= 12:
        values = _sampled(block)
    elif block[:4] == b"para" and len(block) >= 12:
        values = _parametric(block)
    if values is None or not np.isfinite(values).all() or values[-1] <= values[0]:
        return None
    return ToneCurve(values)


def _sampled(block: bytes) -> npt.NDArray[np.float64] | None:
    (count,) = struct.unpack_from(">I", block, 8)
    if count > _MOST_CURVE_POINTS or len(block) < 12 + 2 * count:
        return None
    codes = np.linspace(0, 1, 65536)
    if count == 0:
        return codes
    points = np.frombuffer(block, ">u2", count, 12).astype(np.float64)
    if count == 1:
        return codes ** float(points[0] / 256)
    return np.interp(codes, np.linspace(0, 1, count), points / 65535)


def _parametric(block: bytes) -> npt.NDArray[np.float64] | None:
    (kind,) = struct.unpack_from(">H", block, 8)
    count = _PARAMETERS.get(kind)
    if count is None or len(block) < 12 + 4 * count:
        return None
    given = [v / 65536 for v in struct.unpack_from(f">{count}i", block, 12)]
    gamma, a, b, c, d, e, f = _seven(kind, given)
    x = np.linspace(0, 1, 65536)
    with np.errstate(all="ignore"):
        return np.where(x >= d, np.maximum(a * x + b, 0) ** gamma + e, c * x + f)


def _seven(kind: int, given: list[float]) -> tuple[float, ...]:
    """The seven parameters of any parametric curve: (a x + b)^g + e above d, c x + f below."""
    if kind == 0:
        return (given[0], 1, 0, 0, 0, 0, 0)
    if kind in (1, 2):
        gamma, a, b = given[:3]
        c = given[3] if kind == 2 else 0.0
        return (gamma, a, b, 0, -b / a if a else 0.0, c, c)
    return (*given, 0.0, 0.0) if kind == 3 else tuple(given)
