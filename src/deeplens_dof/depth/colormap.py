"""Depth as a false-colour picture: far is dark blue, then green and yellow; near is nearly white."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth

# sRGB at even steps from far to near; lightness rises evenly, so that it reads in grey too.
_STOPS = np.array(
    (
        (16, 14, 44),
        (38, 48, 110),
        (24, 92, 130),
        (30, 134, 114),
        (98, 172, 78),
        (202, 200, 60),
        (255, 245, 200),
    ),
    np.float32,
)
_STEPS = 1024


def coloured(depth: InverseDepth) -> npt.NDArray[np.uint8]:
    """uint8 sRGB (H, W, 3). The colours span the range of depth without half a per cent at either end."""
    places = np.linspace(0, len(_STOPS) - 1, _STEPS)
    table = np.stack([np.interp(places, np.arange(len(_STOPS)), _STOPS[:, c]) for c in range(3)], axis=1)
    codes = np.rint(table).astype(np.uint8)
    picture: npt.NDArray[np.uint8] = codes[(depth.normalised() * (_STEPS - 1)).astype(np.uint16)]
    return picture
