"""Colours named by numbers instead of an ICC profile: code points of ITU-T H.273 (cICP, nclx), gamma, chromaticities, DCF.

What such a name says becomes an ICC profile, so that the photo and its results have the same colours in every viewer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from deeplens_dof.photo.metadata import ifd
from deeplens_dof.photo.metadata.primaries import REC709, Matrix, colorants_of

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65)
PRIMARIES: dict[int, tuple[float, ...]] = {  # table 2: x and y of red, green, blue and white
    1: REC709,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_DCI),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_REC709 = (
    1 / 0.45,
    1 / 1.09929682680944,
    0.09929682680944 / 1.09929682680944,
    1 / 4.5,
    0.018053968510807 * 4.5,
)
_SMPTE_240 = (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0228 * 4.0)
_TRANSFERS: dict[int, tuple[float, ...]] = {  # table 3, as parameters of an ICC curve: gamma, or (a x + b)^g above d
    1: _REC709, 4: (2.2,), 5: (2.8,), 6: _REC709, 7: _SMPTE_240, 8: (1.0,), 11: _REC709, 13: _SRGB, 14: _REC709,
    15: _REC709,
}  # fmt: skip
PQ, HLG = 16, 18
_UNSPECIFIED = 2


class NamedColors(NamedTuple):
    """primaries, transfer: code points of H.273."""

    primaries: int
    transfer: int

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (PQ, HLG) and self.primaries in PRIMARIES

    @property
    def colorants(self) -> Matrix:
        """XYZ (D50) of red, green and blue."""
        found = colorants_of(PRIMARIES[self.primaries])
        assert found is not None
        return found

    def profile(self) -> bytes | None:
        """The ICC profile of these colours; None for sRGB, HDR, and code points that are unspecified or unknown."""
        primaries = 1 if self.primaries == _UNSPECIFIED else self.primaries
        transfer = 13 if self.transfer == _UNSPECIFIED else self.transfer
        if (primaries, transfer) == (1, 13) or primaries not in PRIMARIES or transfer not in _TRANSFERS:
            return None
        return matrix_profile(PRIMARIES[primaries], _TRANSFERS[transfer])


def of_nclx(properties: Sequence[tuple[str, bytes]]) -> NamedColors | None:
    """The colours that a `colr` property of kind `nclx` names (ISO/IEC 14496-12, 12.1.5)."""
    for kind, body in properties:
        if kind == "colr" and body[:4] == b"nclx" and len(body) >= 8:
            return NamedColors(*struct.unpack_from(">HH", body, 4))
    return None


def of_gamma(gamma: float, chromaticities: Sequence[float] | None) -> bytes | None:
    """The profile of a PNG's gAMA and cHRM: gamma is that of the file, below 1; None for what stands for sRGB."""
    named = REC709 if chromaticities is None else tuple(chromaticities)
    close = max(abs(a - b) for a, b in zip(named, REC709, strict=True)) < 2e-3
    if not 0.05 < gamma < 20 or (close and abs(gamma - 0.45455) < 2e-3) or colorants_of(named) is None:
        return None
    return matrix_profile(REC709 if close else named, (1 / gamma,))


def of_dcf(exif: bytes | None) -> bytes | None:
    """The profile of Adobe RGB where EXIF names it by the interoperability index of DCF optional files, R03."""
    order = ifd.byte_order(exif or b"")
    if exif is None or order is None:
        return None
    index = ifd.text(ifd.tags_of(exif, order).interop.get(1))
    return matrix_profile(_ADOBE, (563 / 256,)) if index == "R03" else None


@lru_cache(maxsize=32)
def matrix_profile(chromaticities: tuple[float, ...], curve: tuple[float, ...]) -> bytes:
    """An ICC profile (version 4.3) of these primaries and white, with one parametric curve of 1 or 5 parameters."""
    colorants = colorants_of(chromaticities)
    assert colorants is not None
    kind = {1: 0, 5: 3}[len(curve)]
    trc = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(curve)
    tags = {
        b"desc": _text("Colours named by the file"),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed((0.9642, 1.0, 0.8249)),
        b"rTRC": trc,
    }
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True):
        tags[name] = b"XYZ " + bytes(4) + _fixed(tuple(column))
    places: dict[bytes, tuple[int, int]] = {}
    body, start = b"", 128 + 4 + 12 * (len(tags) + 2)
    for name, block in tags.items():
        places[name] = (start + len(body), len(block))
        body += block + bytes(-len(block) % 4)
    places |= {b"gTRC": places[b"rTRC"], b"bTRC": places[b"rTRC"]}
    table = b"".join(struct.pack(">4sII", name, *place) for name, place in places.items())
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed((0.9642, 1.0, 0.8249))
    return head.ljust(128, b"\0") + struct.pack(">I", len(places)) + table + body


def _fixed(values: Sequence[float]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(words: str) -> bytes:
    coded = words.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded
