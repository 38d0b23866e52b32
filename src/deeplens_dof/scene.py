"""A photo and its analysis: depth, subject, matte; the circle of confusion that a lens gives each pixel; and the result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.false_colours import coc_colours, depth_colours
from deeplens_dof.optics.inverse_depth import InverseDepth, sample_nearest
from deeplens_dof.optics.thin_lens import Lens, signed_coc_px
from deeplens_dof.photo import EmbeddedDepth, Photo, check_embedding
from deeplens_dof.photo.bit_depth import alpha_as
from deeplens_dof.photo.file_objects import Target
from deeplens_dof.photo.gain_map import GainMap
from deeplens_dof.photo.gain_map import blurred as blurred_gain
from deeplens_dof.runtime import notebook
from deeplens_dof.settings import Settings
from deeplens_dof.types import Image, Plane

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from deeplens_dof.depth.subject_hold import SubjectWeight
    from deeplens_dof.faces.face import Face
    from deeplens_dof.imaging.film_grain import Grain

# Of the depth range: how far beyond the band in focus the blur has set in fully, at most.
WIDEST_TRANSITION = 0.1
# Of the blur, where nothing stands out that the focus could be on.
GENTLEST = 0.5
# Sources of depth whose relief within a subject is not to be trusted.
NETWORKS = ("predicted", "repaired")
UNTOUCHED_JPEG_QUALITY = 95  # of a photo that came in another format and goes into a JPEG beside its result
MOST_WEIGHTS = 16  # of subjects, kept for the next lens

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo and what was found out about it: the expensive half, done once.

    inverse_depth: of the photo's size. subject: (x, y), 0..1, what the focus is on unless told otherwise.
    depth_source: "predicted", "repaired" (predicted, then painted over), "embedded" (it came in the photo's file),
    "given" or the depth file's name.
    matte: (H, W) 0..1 of the subject, or None where neither a network nor the photo's file gives one.
    subject_confidence: 0..1, how clearly something stands out as the subject.
    found_faces: the photo's faces where they are known already; None, and `faces` looks for them.
    f_number: what the phone that took the photo simulated, or None.
    """

    photo: Photo = field(repr=False)
    inverse_depth: InverseDepth = field(repr=False)
    subject: tuple[float, float]
    depth_source: str = "predicted"
    matte: Plane | None = field(default=None, repr=False)
    subject_confidence: float = 1.0
    found_faces: tuple[Face, ...] | None = field(default=None, repr=False)
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
    def faces(self) -> tuple[Face, ...]:
        """The faces in the photo, the most prominent first; looked for once."""
        from deeplens_dof.faces.find import find_faces

        return find_faces(self.photo.seen_srgb8()) if self.found_faces is None else self.found_faces

    @cached_property
    def eyes(self) -> tuple[tuple[float, float], ...]:
        """(x, y), 0..1, of the nearer eye of each face, in the order of `faces`."""
        from deeplens_dof.faces.focus import nearer_eye

        return tuple(nearer_eye(face, self.inverse_depth.values) for face in self.faces)

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

    def focus_point(self, settings: Settings) -> Point:
        """(x, y), 0..1, of what the focus is on: for faces, the most prominent one. Raises ValueError where there is none."""
        return self.focus_points(settings)[0]

    def focus_points(self, settings: Settings) -> tuple[Point, ...]:
        """(x, y), 0..1, of all that the focus is on. Raises ValueError for a focus on faces where there is none."""
        if not isinstance(settings.focus, str):
            return (settings.focus,)
        if settings.focus == "subject":
            return (self.subject,)
        if not self.eyes:
            raise ValueError(
                f"no face was found in {self.photo.source}, and the focus is {settings.focus!r}; "
                "give a point X,Y, or 'subject'"
            )
        return self.eyes if settings.focus == "faces" else self.eyes[:1]

    def focus_depth(self, settings: Settings) -> float:
        """Inverse depth of what the focus is on, in the unit of `inverse_depth`; of several faces, the middle."""
        return self.focus_band(settings)[0]

    def focus_band(self, settings: Settings) -> tuple[float, float]:
        """Inverse depth in focus, and the width of the band round it that is sharp, in the unit of `inverse_depth`.

        The width is `settings.focus_range`, more where the focus is on faces that are further apart.
        """
        from deeplens_dof.depth.subject import depth_at
        from deeplens_dof.faces.focus import band

        depths = [depth_at(self.inverse_depth.values, point) for point in self.focus_points(settings)]
        focus, width = band(depths, self.depth_range)
        return focus, max(width, settings.focus_range * self.depth_range)

    def subject_weight(self, point: Point) -> SubjectWeight | None:
        """The part of the matte that belongs to the thing at a point (x, y), 0..1; None without a matte.

        The latest are kept.
        """
        from deeplens_dof.depth.subject_hold import subject_weight

        if self.matte is None or not self.depth_range > 0:
            return None
        if point not in self._weights:
            depth, measured = self.inverse_depth.values, self.depth_source not in NETWORKS
            found = subject_weight(depth, self.matte, point, self.depth_range, measured)
            if len(self._weights) >= MOST_WEIGHTS:
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
        self, settings: Settings, focus_depth: float | None = None, focus_point: Point | None = None
    ) -> Plane:
        """Signed circle of confusion of every pixel under these settings.

        The subject at the focus point is held at one depth, its own, as far as `settings.subject_sharp` says; of several
        faces each. Where nothing stands out as a subject, a focus on the "subject" blurs less.

        Args:
            settings: focus and lens.
            focus_depth: inverse depth that is in focus, in the unit of `inverse_depth`; None is that of the focus point.
            focus_point: (x, y), 0..1, of the subject that is held; None is the settings' focus.

        Returns:
            float32 (H, W) in px, positive nearer than the focus.
        """
        from deeplens_dof.depth.subject import depth_at

        if (
            focus_depth is not None
            and focus_point is None
            and settings.focus in ("face", "faces")
            and not self.faces
        ):
            points: tuple[Point, ...] = ()  # no face to hold, and none needed
        else:
            points = (focus_point,) if focus_point else self.focus_points(settings)
        width = settings.focus_range * self.depth_range
        if focus_depth is not None:
            focus = focus_depth
        elif focus_point:
            focus = depth_at(self.inverse_depth.values, focus_point)
        else:
            focus, width = self.focus_band(settings)
        depth = self._held(points, focus, settings.subject_sharp)
        blur_px = self.blur_px(settings, focus_depth is None and focus_point is None)
        coc_px = signed_coc_px(depth, focus, blur_px, width, WIDEST_TRANSITION * self.depth_range)
        before, behind = np.float32(settings.foreground_blur), np.float32(settings.background_blur)
        return coc_px if before == behind == 1 else coc_px * np.where(coc_px > 0, before, behind)

    def _held(self, points: tuple[Point, ...], focus: float, strength: float) -> Plane:
        """Inverse depth with the subject at each point held at one depth: a single one near the focus, several at theirs."""
        from deeplens_dof.depth.subject_hold import flattened

        depth = self.inverse_depth.values
        held: list[SubjectWeight] = []
        for point in points if strength > 0 else ():
            subject = self.subject_weight(point)
            if subject is None or any(other.holds(point) for other in held):
                continue
            held.append(subject)
            depth = flattened(depth, subject.near(focus) if len(points) == 1 else subject, strength)
        return depth

    def _repr_html_(self) -> str:
        """For notebooks: the photo, and its depth in colours."""
        pictures = {
            "photo": self.photo.thumbnail(notebook.LONGEST_PX),
            "depth, near is bright": depth_colours(self.inverse_depth.normalised()),
        }
        return notebook.figure(pictures, f"{self.photo.source}: depth {self.depth_source}")


@dataclass(frozen=True, eq=False)
class Result:
    """The blurred photo.

    linear, coc_px: float32 (H, W, 3) linear light and (H, W) px. focus_depth, focus_point: as `refocus` was given them.
    alpha: float32 (H, W) 0..1, blurred with the picture; None for a photo without transparent parts. lens: blurs linear light
    by circles of confusion as the picture was, for what is seen through the same lens.
    """

    photo: Photo = field(repr=False)
    settings: Settings
    linear: Image = field(repr=False)
    coc_px: Plane = field(repr=False)
    scene: Scene
    focus_depth: float | None = None
    focus_point: tuple[float, float] | None = None
    alpha: Plane | None = field(default=None, repr=False)
    lens: Callable[[Image, Plane], Image] | None = field(default=None, repr=False)

    @cached_property
    def image(self) -> npt.NDArray[Any]:
        """(H, W, 3) uint8, or uint16 for a 16-bit photo, encoded in the photo's own colour space; float32 linear light
        for a photo of floats.
        """
        return self.photo.encode(self.linear)

    def as_photo(self) -> Photo:
        """The blurred picture with the metadata of the photo, its alpha blurred too."""
        blurred = replace(self.photo.with_pixels(self.image), gain_map=self.gain_map)
        return (
            blurred if self.alpha is None else replace(blurred, alpha=alpha_as(self.alpha, self.image.dtype))
        )

    @cached_property
    def gain_map(self) -> GainMap | None:
        """The photo's gain map through the same lens, at its own size, so that a lamp's glow spreads with its disc."""
        from deeplens_dof.imaging.resize import resize

        gain = self.photo.gain_map
        if gain is None or self.lens is None or self.photo.is_float:
            return None
        height, width = gain.stops.shape[:2]

        def small(light: Image) -> Image:
            planes = [resize(light[..., channel], height, width) for channel in range(3)]
            return np.clip(np.dstack(planes), 0, 1)

        sharp, seen = small(self.photo.linear()), small(self.linear)
        coc_px = sample_nearest(self.coc_px, height, width) * np.float32(width / self.photo.width)
        return blurred_gain(gain, sharp, seen, self.lens(gain.hdr(sharp), coc_px))

    def save(
        self,
        path: Target,
        *,
        strip_metadata: bool = False,
        quality: int | None = None,
        embed_depth: bool = False,
        format: str | None = None,
    ) -> None:
        """Writes the picture, whole or not at all, with the photo's ICC profile, EXIF, XMP, and the settings.

        path, format: as `Photo.save` takes them: a file's name, or an open file. embed_depth: for JPEG; depth, focus and the
        untouched photo go into it (GDepth), so that it can be refocused. Raises PhotoError when it cannot be written.
        """
        blurred = self.as_photo()
        if embed_depth:
            own = None if isinstance(path, (str, os.PathLike)) else blurred.format
            check_embedding(path, strip_metadata, format or own)
            blurred = self._with_depth(blurred)
        options: dict[str, Any] = {"strip_metadata": strip_metadata, "quality": quality, "format": format}
        blurred.save(path, settings=self.settings.as_dict(), **options)

    def _with_depth(self, blurred: Photo) -> Photo:
        photo, settings, scene = self.scene.photo, self.settings, self.scene
        depth = EmbeddedDepth(
            scene.inverse_depth,
            "GDepth",
            focus=self.focus_point or scene.focus_point(settings),
            original=photo.file or photo.to_bytes(format="JPEG", quality=UNTOUCHED_JPEG_QUALITY),
        )
        focus = scene.focus_depth(settings) if self.focus_depth is None else self.focus_depth
        as_found = self.focus_depth is None and self.focus_point is None
        blur_px = scene.blur_px(settings, as_found) * max(focus, 0.0)
        return blurred.with_embedded_depth(
            depth,
            nearest_m=settings.nearest_m,
            blur_at_infinity=settings.background_blur * blur_px / max(photo.width, photo.height),
        )

    def overlay(self) -> npt.NDArray[np.uint8]:
        """`focus_overlay` of the result."""
        return focus_overlay(self.scene.photo, self.coc_px)

    def to_pil(self) -> PillowImage.Image:
        """The picture as an 8-bit RGB or RGBA Pillow image; `info` holds the ICC profile, EXIF, XMP and resolution."""
        return self.as_photo().to_pillow()

    def _repr_png_(self) -> bytes:
        """For notebooks: the picture."""
        return notebook.png(self.as_photo().thumbnail(notebook.LONGEST_PX))

    def _repr_html_(self) -> str:
        """For notebooks: the picture, its depth, and the circles of confusion in colours."""
        largest_px = float(abs(self.coc_px).max())
        pictures = {
            "picture": self.as_photo().thumbnail(notebook.LONGEST_PX),
            "depth, near is bright": depth_colours(self.scene.inverse_depth.normalised()),
            f"blur up to {largest_px:.1f} px: blue nearer, white in focus, red farther": coc_colours(
                self.coc_px
            ),
        }
        return notebook.figure(pictures, f"{self.scene.photo.source}: f/{self.settings.f_number:g}")


def focus_overlay(photo: Photo, coc_px: Plane) -> npt.NDArray[np.uint8]:
    """The parts of a photo in focus, uint8 (H, W, 3): the grey photo, green where sharp, blue nearer, red farther.

    coc_px: (H, W), signed. A circle of confusion of a thousandth of the long side, at least 1 px, has the full colour.
    """
    grey = photo.srgb8().mean(2, keepdims=True) * 0.6
    blur = np.clip(np.abs(coc_px) / max(1e-3 * max(coc_px.shape), 1.0), 0, 1)[..., None]
    green, blue, red = (np.array(rgb, np.float32) for rgb in ((60, 220, 90), (60, 110, 255), (255, 80, 60)))
    tint = (1 - blur) * green + blur * np.where(coc_px[..., None] > 0, blue, red)
    shown: npt.NDArray[np.uint8] = np.clip(0.65 * grey + 0.35 * tint, 0, 255).astype(np.uint8)
    return shown
