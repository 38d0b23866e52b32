"""A photo as layers: at every pixel the surface in front, the share of the pixel that it covers, and the surface behind.

At a depth step a pixel is a mixture of two surfaces. `alpha * front + (1 - alpha) * back` is the photo again, so nothing
is lost by unmixing it, and each side can be moved on its own. Reduced sizes keep the two apart as well: a cell that
covers a step stores both surfaces, never their mean depth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deeplens_dof.types import Array, Image, Plane

NOTHING = np.float32(-1e9)  # CoC where there is no surface
STEP_PX = np.float32(1)  # neighbours whose CoC differs by more lie on two surfaces
# Squared contrast in linear light below which alpha follows the geometry rather than the colours.
ALPHA_PRIOR = np.float32(0.02)


class Layers(NamedTuple):
    """Two surfaces for every cell. CoC is in pixels of the full-size photo.

    Where nothing lies behind, alpha is 1 and back_coc is NOTHING.
    """

    factor: int  # photo pixels along a cell's side
    front: Image  # (h, w, 3) linear light
    front_coc: Plane  # (h, w)
    alpha: Plane  # (h, w)
    back: Image  # (h, w, 3)
    back_coc: Plane  # (h, w)

    @classmethod
    def empty(cls, factor: int, height: int, width: int) -> Layers:
        """Layers whose arrays are yet to be written."""
        plane, colour = (height, width), (height, width, 3)
        return cls(factor, *(np.empty(shape, np.float32) for shape in (colour, plane, plane, colour, plane)))

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array, Array]:
        """front, front_coc, alpha, back, back_coc."""
        return self.front, self.front_coc, self.alpha, self.back, self.back_coc
