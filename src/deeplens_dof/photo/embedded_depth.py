"""Depth stored in the file of a photo, as measured by a phone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedDepth:
    """Depth in a photo's file, upright like the photo, at its own size.

    inverse_depth: (h, w), "1/m" only where the file gives metres, else "relative". origin: its container, for example
    "HEIC depth image" or "GDepth". matte: (h2, w2) 0..1 of the subject, or None. f_number: the aperture that the phone
    simulated, or None. focus: (x, y) 0..1 of the focus point, or None. original: the file of the photo before the phone
    blurred it, or None.
    """

    inverse_depth: InverseDepth = field(repr=False)
    origin: str
    matte: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    f_number: float | None = None
    focus: tuple[float, float] | None = None
    original: bytes | None = field(default=None, repr=False)
