"""The thin lens: focus, f-number and focal length to a signed circle of confusion in pixels. Pure arithmetic.

A point at inverse depth `d` (1/m), photographed with the focus at inverse depth `d_focus`, spreads over a
disc whose radius in the picture is `|coc_px|`, with

    coc_px  = blur_px * (d - d_focus)
    blur_px = 0.5 * focal_length_m**2 / f_number * image_width_px / sensor_width_m      [px * m]

This is the exact thin-lens circle of confusion up to the factor `1 / (1 - focal_length_m * d_focus)`, which
is 1 within 5 % when the focus is farther than 21 focal lengths (Potmesil and Chakravarty 1981, eq. 3);
docs/conventions.md has a worked example.
The sign says on which side of the focus the point lies: positive is nearer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deeplens_dof.types import Plane

FULL_FRAME_WIDTH_MM = 36.0
TRANSITION = 1.0  # of the focus range: how far beyond each of its ends the blur sets in


@dataclass(frozen=True, slots=True)
class Lens:
    """A 35 mm-equivalent lens, as engraved on the barrel. Raises ValueError unless both are finite and above 0."""

    focal_length_mm: float = 50.0  # on a 36 mm wide sensor
    f_number: float = 1.8  # focal length over the diameter of the entrance pupil

    def __post_init__(self) -> None:
        for name in ("focal_length_mm", "f_number"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}, expected a finite number above 0")

    @property
    def aperture_diameter_mm(self) -> float:
        """Diameter of the entrance pupil."""
        return self.focal_length_mm / self.f_number

    def blur_px(self, image_width_px: float) -> float:
        """CoC radius per unit of inverse depth, in px * m, in a picture of that width."""
        focal_length_m, sensor_width_m = self.focal_length_mm * 1e-3, FULL_FRAME_WIDTH_MM * 1e-3
        return 0.5 * focal_length_m**2 / self.f_number * image_width_px / sensor_width_m


def signed_coc_px(
    inverse_depth: Plane,
    focus_inverse_depth: float,
    blur_px: float,
    focus_range: float = 0.0,
    widest_transition: float = math.inf,
) -> Plane:
    """Signed radius of the circle of confusion of every pixel.

    It is 0 within `focus_range / 2` of the focus. Beyond, it rises to that of the plane in focus,
    `blur_px * (inverse_depth - focus_inverse_depth)`, over `transition_of(focus_range, widest_transition)`, by
    smoothstep, so that it has no kink and a wide band takes no blur off what lies outside.

    Args:
        inverse_depth: (H, W), in any unit.
        focus_inverse_depth: what is in focus, in the same unit.
        blur_px: at least 0, in px per that unit.
        focus_range: width of the band that is sharp, at least 0, in that unit.
        widest_transition: at least 0, in that unit.

    Returns:
        float32 (H, W), positive nearer than the focus.

    Raises:
        ValueError: the focus, blur_px or focus_range is not finite, or one but the focus is negative.
    """
    if not math.isfinite(focus_inverse_depth):
        raise ValueError(f"the focus is at inverse depth {focus_inverse_depth!r}, expected a finite number")
    if not (math.isfinite(blur_px) and blur_px >= 0):
        raise ValueError(f"blur_px is {blur_px!r}, expected a finite number of at least 0")
    if not (math.isfinite(focus_range) and focus_range >= 0):
        raise ValueError(f"focus_range is {focus_range!r}, expected a finite number of at least 0")
    if not widest_transition >= 0:
        raise ValueError(f"widest_transition is {widest_transition!r}, expected a number of at least 0")
    offset = np.asarray(inverse_depth, np.float32) - np.float32(focus_inverse_depth)
    transition = np.float32(transition_of(focus_range, widest_transition))
    if transition > 0:  # of a range too small for a float32 there is none
        along = np.abs(offset)
        along -= np.float32(focus_range / 2)
        with np.errstate(over="ignore"):  # of a transition close to 0
            along /= transition
        np.clip(along, 0, 1, out=along)
        along *= along * (3 - 2 * along)
        offset *= along
    return np.float32(blur_px) * offset


def transition_of(focus_range: float, widest: float) -> float:
    """Stretch beyond each end of the band in which the blur sets in: the width of the band, `widest` at most."""
    return min(TRANSITION * focus_range, widest)
