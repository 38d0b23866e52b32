"""Depth that came inside a photo: what a phone measured, as the photo's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedDepth:
    """Depth found in a photo's file, upright like the photo, of its own size.

    inverse_depth: (h, w), "1/m" only where the file states metres, else "relative". origin: what holds it, in words,
    for example "HEIC depth image" or "GDepth". matte: (h2, w2) 0..1 of the subject, or None. f_number: the aperture
    that the phone simulated, or None. focus: (x, y) 0..1 of what it focused on, or None. original: the file of the
    photo as it was before a phone blurred it, or None.
    """

    inverse_depth: InverseDepth = field(repr=False)
    origin: str
    matte: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    f_number: float | None = None
    focus: tuple[float, float] | None = None
    original: bytes | None = field(default=None, repr=False)
