"""The whole product on one page: a photo, its depth, the circle of confusion, the blur, a photo again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import EmbeddedDepth, Photo, check_embedding, read, untouched
from deeplens_dof.photo.bit_depth import alpha_as
from deeplens_dof.scene import Scene
from deeplens_dof.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from deeplens_dof.optics.aperture import Aperture

# Pillow's grey modes, and those in which a blurred picture of them comes back.
_GREY_MODES = {
    "1": "L",
    "L": "L",
    "I;16": "L",
    "I;16L": "L",
    "I;16B": "L",
    "I;16N": "L",
    "LA": "LA",
    "La": "LA",
}
_FAINTEST = np.float32(1e-4)  # alpha below which a pixel has no colour
UNTOUCHED_JPEG_QUALITY = 95  # of a photo that came in another format and goes into a JPEG beside its result
FloatArray = npt.NDArray[np.float32]
DepthSource = InverseDepth | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Result:
    """The blurred photo.

    linear, coc_px: float32 (H, W, 3) linear light and (H, W) px. focus_depth, focus_point: as `refocus` was given them.
    alpha: float32 (H, W) 0..1, blurred with the picture; None for a photo without transparent parts.
    """

    photo: Photo = field(repr=False)
    settings: Settings
    linear: FloatArray = field(repr=False)
    coc_px: FloatArray = field(repr=False)
    scene: Scene
    focus_depth: float | None = None
    focus_point: tuple[float, float] | None = None
    alpha: FloatArray | None = field(default=None, repr=False)

    @cached_property
    def image(self) -> npt.NDArray[Any]:
        """(H, W, 3) uint8, or uint16 for a 16-bit photo, encoded in the photo's own colour space; float32 linear light
        for a photo of floats.
        """
        return self.photo.encode(self.linear)

    def as_photo(self) -> Photo:
        """The blurred picture with the metadata of the photo, its alpha blurred too."""
        blurred = self.photo.with_pixels(self.image)
        return (
            blurred if self.alpha is None else replace(blurred, alpha=alpha_as(self.alpha, self.image.dtype))
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        strip_metadata: bool = False,
        quality: int | None = None,
        embed_depth: bool = False,
    ) -> None:
        """Writes the picture, whole or not at all, with the photo's ICC profile, EXIF, XMP, and the settings.

        embed_depth: for JPEG; depth, focus and the untouched photo go into it (GDepth), so that it can be refocused.
        Raises PhotoError when it cannot be written.
        """
        blurred = self.as_photo()
        if embed_depth:
            check_embedding(path, strip_metadata)
            blurred = self._with_depth(blurred)
        blurred.save(path, strip_metadata=strip_metadata, settings=self.settings.as_dict(), quality=quality)

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


def analyse(photo: Photo, depth: DepthSource = "auto") -> Scene:
    """Depth and subject of a photo.

    depth: "predict" predicts it; "embedded" takes what the photo's file holds; "auto" takes that when it is fine
    enough (`depth.embedded_check`), and predicts otherwise. An InverseDepth or the path of a depth file is fitted to the
    photo, its borders drawn to the picture's edges where its size differs, as embedded depth is. Relative depth
    beyond 0..1 is normalised to it. A photo that holds its own untouched original is refocused from that. Raises
    ValueError or OSError when the given depth cannot be used.
    """
    from deeplens_dof.depth.predict import predict_scene
    from deeplens_dof.depth.subject import find_subject

    photo = untouched(photo)
    matte = None
    if isinstance(depth, str) and (depth == "embedded" or (depth == "auto" and _fine_enough(photo))):
        return _with_its_own_depth(photo)
    if isinstance(depth, str) and depth in ("auto", "predict"):
        (inverse_depth, matte), source = predict_scene(photo.seen_srgb8()), "predicted"
    else:
        inverse_depth = _given(depth, photo)
        source = "given" if isinstance(depth, InverseDepth) else os.path.basename(os.fspath(depth))
    subject = find_subject(inverse_depth.values, matte)
    return Scene(photo, inverse_depth, subject.point, source, matte, subject.confidence, _simulated(photo))


def preview(scene: Scene, most_pixels: int = 1_000_000) -> Scene:
    """The scene at about so many pixels, without alpha and metadata, to be refocused while a hand moves; itself if it
    is no larger.

    Light is averaged; depth is taken at the pixels' centres, as a mean of two depths lies where nothing is.
    """
    photo = scene.photo
    if photo.width * photo.height <= most_pixels:
        return scene
    from deeplens_dof.imaging.resize import resize

    scale = math.sqrt(most_pixels / (photo.width * photo.height))
    height, width = (max(1, round(side * scale)) for side in (photo.height, photo.width))
    linear = np.dstack([resize(scene.linear[..., channel], height, width) for channel in range(3)])
    depth = scene.inverse_depth.sampled(height, width)
    matte = None if scene.matte is None else resize(scene.matte, height, width)
    small = replace(photo.with_pixels(photo.encode(linear)), exif=None, xmp=None, depth=None, file=None)
    return replace(scene, photo=small, inverse_depth=depth, matte=matte)


def refocus(
    scene: Scene,
    settings: Settings | None = None,
    *,
    focus_depth: float | None = None,
    focus_point: tuple[float, float] | None = None,
    lens_points: int | None = None,
) -> Result:
    """The scene through this lens, focused there. Cheap: may be called many times on one scene.

    settings: None takes the defaults, with the f-number that a phone simulated where the photo's file tells one.
    focus_depth, focus_point: as `Scene.coc_px` takes them, instead of the settings' focus. lens_points: as `render` takes
    them; 32, say, for what is seen only while a hand moves. Raises ValueError for a focus that is not finite and for a
    lens that blurs by more than the renderer can, PhotoError for an aperture's picture that cannot be read.
    """
    from deeplens_dof.imaging.film_grain import with_grain
    from deeplens_dof.lens_blur.render import LARGEST_COC_PX, render, render_subject

    if settings is None:
        settings = Settings() if scene.f_number is None else Settings(f_number=scene.f_number)
    coc_px = scene.coc_px(settings, focus_depth, focus_point)
    if (largest_px := float(np.abs(coc_px).max())) > LARGEST_COC_PX:
        raise ValueError(
            f"these settings blur by {largest_px:,.0f} px, expected at most {LARGEST_COC_PX:,.0f} px; "
            "raise f_number or nearest_m, or lower lens_mm"
        )
    aperture = aperture_of(settings)
    light = scene.light(settings.highlights)
    cover = scene.cover
    alpha, seen_px = None, coc_px
    if cover is None:
        matte = scene.soft_matte if settings.renderer == "matte" else None
        blurred, seen_px = render_subject(
            light, coc_px, matte, aperture, settings.renderer, lens_points=lens_points
        )
    else:
        lens = partial(
            render, coc_px=coc_px, aperture=aperture, renderer=settings.renderer, lens_points=lens_points
        )
        blurred, alpha = _through_with_alpha(lens, light, cover, scene.photo.is_float)
    linear = restored(blurred, scene.linear, light, seen_px, scene.white)
    if scene.photo.is_float:
        # Light below 0 lies outside the primaries; it stays where no other light reached it.
        np.copyto(linear, light, where=(light < 0) & (linear == 0))
    if settings.grain > 0:
        linear = with_grain(linear, scene.grain, coc_px, settings.grain, aperture.area)
    return Result(scene.photo, settings, linear, coc_px, scene, focus_depth, focus_point, alpha)


def _through_with_alpha(
    lens: Callable[[FloatArray], FloatArray], light: FloatArray, cover: FloatArray, premultiplied: bool
) -> tuple[FloatArray, FloatArray]:
    """Light and alpha of a cut-out through the lens: each pixel's light counts by its alpha, and alpha is blurred along.

    light, and what comes back of it: multiplied by alpha or not, as `premultiplied` says.
    """
    alpha = np.clip(lens(np.repeat(cover[..., None], 3, axis=2))[..., 0], 0, 1)
    if premultiplied:
        return lens(light), alpha
    given = light * cover[..., None]
    blurred = lens(given)
    straight = np.where(
        alpha[..., None] > _FAINTEST, blurred / np.maximum(alpha, _FAINTEST)[..., None], light
    )
    untouched_there = (blurred == given).all(axis=2) & (alpha == cover)
    np.copyto(straight, light, where=untouched_there[..., None])
    return straight, alpha


def focus_overlay(photo: Photo, coc_px: FloatArray) -> npt.NDArray[np.uint8]:
    """The parts of a photo in focus, uint8 (H, W, 3): the grey photo, green where sharp, blue nearer, red farther.

    coc_px: (H, W), signed. A circle of confusion of a thousandth of the long side, at least 1 px, has the full colour.
    """
    grey = photo.srgb8().mean(2, keepdims=True) * 0.6
    blur = np.clip(np.abs(coc_px) / max(1e-3 * max(coc_px.shape), 1.0), 0, 1)[..., None]
    green, blue, red = (np.array(rgb, np.float32) for rgb in ((60, 220, 90), (60, 110, 255), (255, 80, 60)))
    tint = (1 - blur) * green + blur * np.where(coc_px[..., None] > 0, blue, red)
    shown: npt.NDArray[np.uint8] = np.clip(0.65 * grey + 0.35 * tint, 0, 255).astype(np.uint8)
    return shown


def restored(
    blurred: FloatArray, linear: FloatArray, light: FloatArray, coc_px: FloatArray, white: float = 1.0
) -> FloatArray:
    """The last of three steps, the same for every renderer: reconstruct highlights, render, restore pixels in focus.

    Args:
        blurred: `light` rendered, float32 (H, W, 3) linear light; changed in place.
        linear: the photo, like `blurred`.
        light: the photo with its highlights reconstructed; `linear` itself where nothing was.
        coc_px: (H, W) signed CoC radii in px.
        white: where the photo clips; a photo whose white is grey keeps it.

    Returns:
        `blurred`.
    """
    from deeplens_dof.highlights.clipping import restore_in_focus

    if light is not linear:
        restore_in_focus(blurred, linear, light, coc_px)
        if white < 1:
            np.minimum(blurred, np.float32(white), out=blurred)
    return blurred


def aperture_of(settings: Settings) -> Aperture:
    """The aperture of the settings. A picture of one is cached until its file changes.

    Raises:
        PhotoError: the picture cannot be read.
        ValueError: the picture is not an aperture.
    """
    from deeplens_dof.optics.aperture import Aperture

    file = settings.shape_file
    if file is None:
        return Aperture.parse(settings.shape)
    version: tuple[int, ...]
    try:
        facts = os.stat(file)
        version = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        version = ()  # reading it reports the error
    return _aperture_of_file(settings.shape, version)


def as_shot(photo: Photo, settings: Settings) -> Settings:
    """Settings with the f-number that the phone simulated, where the photo's file tells one."""
    f_number = _simulated(photo)
    return settings if f_number is None else replace(settings, f_number=f_number)


def _simulated(photo: Photo) -> float | None:
    return None if photo.depth is None else photo.depth.f_number


def blur(
    source: Photo | str | os.PathLike[str] | bytes | npt.NDArray[Any] | Image.Image,
    *,
    depth: DepthSource = "auto",
    settings: Settings | None = None,
    **changes: Any,
) -> Any:
    """One call for everything. Gives back the kind it was given.

    A path or a Photo gives a Result; bytes of a picture file give bytes of the same format; a Pillow image gives an upright
    8-bit one, grey for grey (1, L and I;16 give L, LA and La give LA); an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of
    sRGB uint8, uint16 or floats 0..1 gives one of the same shape and type. changes: fields of Settings, for example
    focus=(0.4, 0.6), f_number=1.8. Without settings and f_number the f-number is that of the photo's file, where a phone
    noted which it simulated.
    """
    free = settings is None and "f_number" not in changes
    settings = replace(settings or Settings(), **changes)
    if isinstance(source, np.ndarray):
        from deeplens_dof.photo.arrays import as_photo, like

        result = _through(as_photo(source), depth, settings)
        return like(source, result.linear, result.alpha)
    photo = source if isinstance(source, Photo) else read(source)
    settings = as_shot(photo, settings) if free else settings
    result = _through(photo, depth, settings)
    if isinstance(source, (Photo, str, os.PathLike)):
        return result
    blurred = result.as_photo()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return blurred.to_bytes(settings=settings.as_dict())
    image = blurred.to_pillow()
    return image.convert(_GREY_MODES[source.mode]) if source.mode in _GREY_MODES else image


def _through(photo: Photo, depth: DepthSource, settings: Settings) -> Result:
    return refocus(analyse(photo, depth), settings)


@lru_cache(maxsize=8)
def _aperture_of_file(path: str, version: tuple[int, ...]) -> Aperture:
    from deeplens_dof.optics.aperture import Aperture

    photo = read(path)
    weights = photo.pixels if photo.alpha is None else np.dstack((photo.pixels, photo.alpha))
    try:
        return Aperture.kernel(weights)
    except ValueError as error:
        raise ValueError(f"{path} is no aperture: {error}") from None


def _given(depth: DepthSource, photo: Photo) -> InverseDepth:
    """Depth from a file or from the caller, of the photo's size."""
    from deeplens_dof.depth.files import fit_to, read_depth_file

    if not isinstance(depth, (InverseDepth, str, os.PathLike)):
        kind = type(depth).__name__
        raise ValueError(
            f"depth is of type {kind}, expected 'auto', 'predict', 'embedded', a depth file or InverseDepth(values, unit)"
        )
    given = depth if isinstance(depth, InverseDepth) else read_depth_file(depth)
    if given.unit == "relative" and not 0 <= given.values.min() <= given.values.max() <= 1:
        given = InverseDepth(given.normalised(), "relative")
    same_size = given.shape == (photo.height, photo.width)
    return given if same_size else fit_to(given, photo.height, photo.width, photo.seen_srgb8())


def _fine_enough(photo: Photo) -> bool:
    """Whether the photo's file holds depth that is to be preferred to what is predicted."""
    from deeplens_dof.depth.embedded_check import flaw

    return photo.depth is not None and flaw(photo.depth.inverse_depth, photo.height, photo.width) is None


def _with_its_own_depth(photo: Photo) -> Scene:
    """A scene of the depth, matte and focus in the photo's file, its borders refined. Raises ValueError without."""
    from deeplens_dof.depth.files import fit_to
    from deeplens_dof.depth.subject import find_subject
    from deeplens_dof.imaging.resize import resize

    own = photo.depth
    if own is None:
        none = f"{photo.source} holds no depth; say auto, predict or the name of a depth file"
        raise ValueError(photo.depth_problem or none)
    size = photo.height, photo.width
    found = fit_to(own.inverse_depth, *size, photo.seen_srgb8())
    if found.unit == "relative":
        found = InverseDepth(found.normalised(), "relative")
    matte = None if own.matte is None else np.clip(resize(own.matte, *size), 0, 1)
    subject = find_subject(found.values, matte)
    if own.focus:
        return Scene(photo, found, own.focus, "embedded", matte, f_number=own.f_number)
    return Scene(photo, found, subject.point, "embedded", matte, subject.confidence, own.f_number)


__all__ = ["Result", "Scene", "Settings", "analyse", "as_shot", "blur", "preview", "refocus"]
