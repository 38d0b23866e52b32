"""Depth as a false-colour picture, and back: our own colours, and the usual colour maps of other programs.

In pictures of other programs near is at the bright or the red end (Depth Anything, Depth Pro, Marigold, MiDaS).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.false_colours import FAR_TO_NEAR, colour_table, depth_colours
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.types import Plane

# sRGB at even steps from far to near. inferno, magma, plasma, viridis: CC0, of Matplotlib; turbo: Apache-2.0, of Google;
# Spectral: Apache-2.0, of ColorBrewer.
_STOPS = {
    "deeplens": FAR_TO_NEAR.hex(),
    "inferno": "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b56106e63156e70196e7d1e6d89226a962766a32c61af315bbb3654c63d4d"
    "d14545da4f3ce35932eb6529f1721ef67f14f98c0afb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4",
    "magma": "0000030303120a0822130d341d114729115a36106b440f7650127c5d177f691c817621818226818f2a819c2e7fa9337db6367ac33b75cf"
    "4070db476ae65164ee5c5ef46a5cf9785dfb8861fd9668fea571feb47bfec287fed194fde0a1fceeb0fcfdbf",
    "plasma": "0d08872206903105973f049c4c02a15901a56600a77201a87e03a88909a59511a19f1a9ca92395b32c8ebc3587c43e7fcc4678d25071d9"
    "596adf6263e56b5deb7556f07f4ff48a48f89441fb9f3afdab33feb72dfdc328fcd025f9dd25f5eb27f0f921",
    "viridis": "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21908c1f978b"
    "1f9f8821a68527ad8131b57b3ebc744dc26c5cc8636ece5882d34d95d840aadc32c0df25d5e21aeae51afde725",
    "turbo": "30123b392a734040a24456c7466be34680f64293ff37a7fa28bbec1dccd918dcc31ee8b031f2994cf97e6bfe648aff4ca2fc3cb8f735cc"
    "ed34dee037edd03af7c03afdad35fe982cfb8022f56818ec520fe14109d23105c12302ac1701950d017a0403",
    "spectral": "5e4fa23288bd66c2a5abdda4e6f598ffffbffee08bfdae61f46d43d53e4f9e0142",
    "jet": "0000800000ff0080ff00ffff80ff80ffff00ff8000ff0000800000",
}
COLOUR_MAPS = tuple(_STOPS)
_MATCHED_STEPS = 256  # told apart when a picture is read
_LOOKED_AT = 4096  # pixels from which the map is told
_CLOSE, _CLOSE_SHARE = (
    14.0,
    0.9,
)  # distance in sRGB codes, as of JPEG; the share of pixels that must be as close
_CHUNK = 1 << 15


def coloured(depth: InverseDepth) -> npt.NDArray[np.uint8]:
    """uint8 sRGB (H, W, 3). The colours span the range of depth without half a per cent at either end."""
    return depth_colours(depth.normalised())


def from_colours(rgb: npt.NDArray[np.uint8]) -> tuple[str, Plane] | None:
    """The name of the colour map of a picture uint8 (H, W, 3), and its values, float32 (H, W) 0..1.

    None for a picture in other colours.
    """
    flat = rgb.reshape(-1, 3)
    some = flat[:: max(1, len(flat) // _LOOKED_AT)]
    shares = {
        name: float((_nearest(some, _colours(name, _MATCHED_STEPS))[1] < _CLOSE).mean()) for name in _STOPS
    }
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < _CLOSE_SHARE:
        return None
    red, green, blue = flat.T.astype(np.uint32)
    # numbers sort faster than rows
    packed, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    colours = np.stack((packed >> 16, packed >> 8 & 255, packed & 255), axis=1).astype(np.uint8)
    steps, _ = _nearest(colours, _colours(best, _MATCHED_STEPS))
    values = (steps / np.float32(_MATCHED_STEPS - 1)).astype(np.float32)
    return best, values[places.reshape(rgb.shape[:2])]


def _nearest(
    colours: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """For each colour (N, 3) the nearest entry of a table (M, 3), and the distance to it."""
    known = table.astype(np.float32)
    entries, distances = [], []
    for start in range(0, len(colours), _CHUNK):
        some = colours[start : start + _CHUNK].astype(np.float32)
        squares = (some**2).sum(1)[:, None] - 2 * some @ known.T + (known**2).sum(1)
        entries.append(squares.argmin(1))
        distances.append(np.sqrt(np.maximum(squares.min(1), 0)))
    return np.concatenate(entries), np.concatenate(distances)


@cache
def _colours(name: str, steps: int) -> npt.NDArray[np.uint8]:
    """uint8 (steps, 3), from far to near."""
    return colour_table(bytes.fromhex(_STOPS[name]), steps)
