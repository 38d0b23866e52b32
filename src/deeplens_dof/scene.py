"""A photo and its analysis: depth, subject, matte; and the circle of confusion that a lens gives each pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.optics.thin_lens import Lens, signed_coc_px
from deeplens_dof.photo import Photo
from deeplens_dof.settings import Settings
from deeplens_dof.types import Image, Plane

if TYPE_CHECKING:
    from deeplens_dof.depth.subject_hold import SubjectWeight
    from deeplens_dof.imaging.film_grain import Grain

# Of the depth range: how far beyond the band in focus the blur has set in fully, at most.
WIDEST_TRANSITION = 0.1
# Of the blur, where nothing stands out that the focus could be on.
GENTLEST = 0.5
# Sources of depth whose relief within a subject is not to be trusted.
NETWORKS = ("predicted", "repaired")


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo and what was found out about it: the expensive half, done once.

    inverse_depth: of the photo's size. subject: (x, y), 0..1, what the focus is on unless told otherwise.
    depth_source: "predicted", "repaired" (predicted, then painted over), "embedded" (it came in the photo's file),
    "given" or the depth file's name.
    matte: (H, W) 0..1 of the subject, or None where neither a network nor the photo's file gives one.
    subject_confidence: 0..1, how clearly something stands out as the subject.
    f_number: what the phone that took the photo simulated, or None.
    """

    photo: Photo = field(repr=False)
    inverse_depth: InverseDepth = field(repr=False)
    subject: tuple[float, float]
    depth_source: str = "predicted"
    matte: Plane | None = field(default=None, repr=False)
    subject_confidence: float = 1.0
    f_number: float | None = None
    _light: dict[float, Image] = field(default_factory=dict, init=False, repr=False)
    _weights: dict[tuple[float, float], SubjectWeight | None] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def linear(self) -> Image:
        """The photo in linear light, float32 (H, W, 3). What is transparent has colours continued from around it."""
        from deeplens_dof.imaging.holes import filled

        linear = self.photo.linear()
        return linear if self.cover is None or self.photo.is_float else filled(linear, self.cover)

    @cached_property
    def cover(self) -> Plane | None:
        """The photo's alpha, float32 (H, W) 0..1; None where it is opaque everywhere."""
        return self.photo.cover()

    @cached_property
    def soft_matte(self) -> Plane | None:
        """The matte with hair, fur and leaves drawn from the photo itself, (H, W) 0..1; None without a matte."""
        from deeplens_dof.depth.soft_matte import COARSE_PX, soft_matte
        from deeplens_dof.imaging.resize import resize

        if self.matte is None:
            return None
        scale = min(1.0, COARSE_PX / max(self.matte.shape))
        size = tuple(max(1, round(side * scale)) for side in self.matte.shape)
        small = resize(self.matte, *size)
        return soft_matte(small, self.inverse_depth.sampled(*size).normalised(), self.photo.srgb8())

    @cached_property
    def white(self) -> float:
        """Where the photo clips, in linear light."""
        from deeplens_dof.highlights.clipping import white_of

        return white_of(self.linear)

    def light(self, highlights: float) -> Image:
        """Linear light with clipped highlights reconstructed by `highlights` (0..1). Float photos are returned unchanged.

        The latest result is cached, because it does not depend on focus or aperture.
        """
        from deeplens_dof.highlights.network import reconstruct_highlights

        if self.photo.is_float:
            return self.linear
        found = self._light.get(highlights)
        if found is None:
            found = reconstruct_highlights(self.linear, highlights, self.white)
            self._light.clear()
            self._light[highlights] = found
        return found

    @cached_property
    def grain(self) -> Grain:
        """The photo's own noise, as it looks."""
        from deeplens_dof.imaging.film_grain import measure_grain

        return measure_grain(self.linear)

    def focus_point(self, settings: Settings) -> tuple[float, float]:
        """(x, y), 0..1, of what the focus is on."""
        return self.subject if settings.focus == "subject" else settings.focus

    def focus_depth(self, settings: Settings) -> float:
        """Inverse depth of what the focus is on, in the unit of `inverse_depth`."""
        from deeplens_dof.depth.subject import depth_at

        return depth_at(self.inverse_depth.values, self.focus_point(settings))

    def subject_weight(self, point: tuple[float, float]) -> SubjectWeight | None:
        """The part of the matte that belongs to the thing at a point (x, y), 0..1; None without a matte.

        The latest is kept.
        """
        from deeplens_dof.depth.subject_hold import subject_weight

        if self.matte is None or not self.depth_range > 0:
            return None
        if point not in self._weights:
            depth, measured = self.inverse_depth.values, self.depth_source not in NETWORKS
            found = subject_weight(depth, self.matte, point, self.depth_range, measured)
            self._weights.clear()
            self._weights[point] = found
        return self._weights[point]

    @cached_property
    def depth_range(self) -> float:
        """Inverse depth from the far to the near of the scene, in the unit of `inverse_depth`."""
        return self.inverse_depth.spread(1.0)

    def blur_px(self, settings: Settings, subject_found: bool = True) -> float:
        """Radius of the circle of confusion per unit of `inverse_depth`, in px.

        subject_found: the focus is where the subject was looked for; the blur is gentler then if none stands out.
        """
        blur_px = Lens(settings.lens_mm, settings.f_number).blur_px(self.photo.width)
        if self.inverse_depth.is_relative:
            blur_px /= settings.nearest_m
        if subject_found and settings.focus == "subject":
            blur_px *= 1 - settings.subject_sharp * (1 - GENTLEST) * (1 - self.subject_confidence)
        return blur_px

    def coc_px(
        self,
        settings: Settings,
        focus_depth: float | None = None,
        focus_point: tuple[float, float] | None = None,
    ) -> Plane:
        """Signed circle of confusion of every pixel under these settings.

        The subject at the focus point is held at one depth, its own, as far as `settings.subject_sharp` says. Where
        nothing stands out as a subject, a focus on the "subject" blurs less.

        Args:
            settings: focus and lens.
            focus_depth: inverse depth that is in focus, in the unit of `inverse_depth`; None is that of the focus point.
            focus_point: (x, y), 0..1, of the subject that is held; None is the settings' focus.

        Returns:
            float32 (H, W) in px, positive nearer than the focus.
        """
        from deeplens_dof.depth.subject import depth_at
        from deeplens_dof.depth.subject_hold import flattened

        depth = self.inverse_depth.values
        point = focus_point or self.focus_point(settings)
        focus = depth_at(depth, point) if focus_depth is None else focus_depth
        subject = self.subject_weight(point) if settings.subject_sharp > 0 else None
        if subject is not None:
            depth = flattened(depth, subject.near(focus), settings.subject_sharp)
        blur_px = self.blur_px(settings, focus_depth is None and focus_point is None)
        width = settings.focus_range * self.depth_range
        coc_px = signed_coc_px(depth, focus, blur_px, width, WIDEST_TRANSITION * self.depth_range)
        before, behind = np.float32(settings.foreground_blur), np.float32(settings.background_blur)
        return coc_px if before == behind == 1 else coc_px * np.where(coc_px > 0, before, behind)
