"""The whole product on one page: a photo, its depth, the circle of confusion, the blur, a photo again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.array_like import as_array, is_array_like
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Photo, read, untouched
from deeplens_dof.photo.file_objects import Readable, is_readable
from deeplens_dof.scene import Result, Scene, focus_overlay
from deeplens_dof.settings import Changes, Settings

if TYPE_CHECKING:
    from PIL import Image

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
FloatArray = npt.NDArray[np.float32]
DepthSource = (
    InverseDepth
    | str
    | os.PathLike[str]
    | npt.NDArray[Any]
    | Callable[[Photo], InverseDepth | npt.NDArray[Any]]
)
_Number = TypeVar("_Number", bound=np.generic)


def analyse(photo: Photo, depth: DepthSource = "auto") -> Scene:
    """Depth, subject and faces of a photo.

    depth: "predict" predicts it; "embedded" takes what the photo's file holds; "auto" takes that when it is fine
    enough (`depth.embedded_check`), and predicts otherwise. An InverseDepth, an array (H, W) of relative inverse depth
    (larger is nearer) or the path of a depth file is fitted to the photo (`depth.given`). A function takes the photo and
    returns one of the last three. A photo that holds its own untouched original is refocused from that. Raises ValueError or
    OSError when the given depth cannot be used.
    """
    from deeplens_dof.depth.predict import predict_scene
    from deeplens_dof.faces.focus import subject_and_faces

    photo = untouched(photo)
    matte = None
    if isinstance(depth, str) and (depth == "embedded" or (depth == "auto" and _fine_enough(photo))):
        return _with_its_own_depth(photo)
    seen = photo.seen_srgb8()
    if isinstance(depth, str) and depth in ("auto", "predict"):
        (inverse_depth, matte), source = predict_scene(seen), "predicted"
    else:
        from deeplens_dof.depth.given import given_depth

        inverse_depth = given_depth(depth, photo)
        source = os.path.basename(depth) if isinstance(depth, (str, os.PathLike)) else "given"
    subject, faces = subject_and_faces(seen, inverse_depth.values, matte)
    return Scene(
        photo, inverse_depth, subject.point, source, matte, subject.confidence, faces, _simulated(photo)
    )


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
    small = replace(
        photo.with_pixels(photo.encode(linear)), exif=None, xmp=None, depth=None, file=None, gain_map=None
    )
    return replace(scene, photo=small, inverse_depth=depth, matte=matte, found_faces=scene.faces)


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
    from deeplens_dof.photo.aperture_picture import aperture_of

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
        through = partial(
            render, coc_px=coc_px, aperture=aperture, renderer=settings.renderer, lens_points=lens_points
        )
        blurred, alpha = _through_with_alpha(through, light, cover, scene.photo.is_float)
    linear = restored(blurred, scene.linear, light, seen_px, scene.white)
    if scene.photo.is_float:
        # Light below 0 lies outside the primaries; it stays where no other light reached it.
        np.copyto(linear, light, where=(light < 0) & (linear == 0))
    if settings.grain > 0:
        linear = with_grain(linear, scene.grain, coc_px, settings.grain, aperture.area)
    lens = partial(render, aperture=aperture, renderer=settings.renderer)
    return Result(scene.photo, settings, linear, coc_px, scene, focus_depth, focus_point, alpha, lens)


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


def as_shot(photo: Photo, settings: Settings) -> Settings:
    """Settings with the f-number that the phone simulated, where the photo's file tells one."""
    f_number = _simulated(photo)
    return settings if f_number is None else replace(settings, f_number=f_number)


def _simulated(photo: Photo) -> float | None:
    return None if photo.depth is None else photo.depth.f_number


@overload
def blur(
    source: Photo | str | os.PathLike[str] | Readable,
    *,
    depth: DepthSource = ...,
    settings: Settings | None = ...,
    **changes: Unpack[Changes],
) -> Result: ...
@overload
def blur(
    source: bytes | bytearray | memoryview,
    *,
    depth: DepthSource = ...,
    settings: Settings | None = ...,
    **changes: Unpack[Changes],
) -> bytes: ...
@overload
def blur(
    source: npt.NDArray[_Number],
    *,
    depth: DepthSource = ...,
    settings: Settings | None = ...,
    **changes: Unpack[Changes],
) -> npt.NDArray[_Number]: ...
@overload
def blur(
    source: Image.Image,
    *,
    depth: DepthSource = ...,
    settings: Settings | None = ...,
    **changes: Unpack[Changes],
) -> Image.Image: ...
def blur(
    source: Photo
    | str
    | os.PathLike[str]
    | Readable
    | bytes
    | bytearray
    | memoryview
    | npt.NDArray[Any]
    | Image.Image,
    *,
    depth: DepthSource = "auto",
    settings: Settings | None = None,
    **changes: Unpack[Changes],
) -> Any:
    """One call for everything. Gives back the kind it was given.

    A path, an open file or a Photo gives a Result; bytes of a picture file give bytes of the same format; a Pillow image
    gives an upright 8-bit one, grey for grey (1, L and I;16 give L, LA and La give LA); an array (H, W), (H, W, 1), (H, W, 3)
    or (H, W, 4) of sRGB uint8, uint16 or floats 0..1 gives one of the same shape and type, and so does what gives itself as
    one (`__array__`, DLPack), such as a torch tensor on the CPU. changes: fields of Settings, for example focus=(0.4, 0.6),
    f_number=1.8. Without settings and f_number the f-number is that of the photo's file, where a phone noted which it
    simulated.
    """
    free = settings is None and "f_number" not in changes
    settings = replace(settings or Settings(), **changes)
    if is_array_like(source):
        from deeplens_dof.photo.arrays import as_photo, like

        array = as_array(source)
        result = _through(as_photo(array), depth, settings)
        return like(array, result.linear, result.alpha)
    assert not isinstance(source, np.ndarray)
    photo = source if isinstance(source, Photo) else read(source)
    settings = as_shot(photo, settings) if free else settings
    result = _through(photo, depth, settings)
    if isinstance(source, (Photo, str, os.PathLike)) or is_readable(source):
        return result
    blurred = result.as_photo()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return blurred.to_bytes(settings=settings.as_dict())
    image = blurred.to_pillow()
    mode = getattr(source, "mode", "")
    return image.convert(_GREY_MODES[mode]) if mode in _GREY_MODES else image


def _through(photo: Photo, depth: DepthSource, settings: Settings) -> Result:
    return refocus(analyse(photo, depth), settings)


def _fine_enough(photo: Photo) -> bool:
    """Whether the photo's file holds depth that is to be preferred to what is predicted."""
    from deeplens_dof.depth.embedded_check import flaw

    return photo.depth is not None and flaw(photo.depth.inverse_depth, photo.height, photo.width) is None


def _with_its_own_depth(photo: Photo) -> Scene:
    """A scene of the depth, matte and focus in the photo's file, its borders refined. Raises ValueError without."""
    from deeplens_dof.depth.files import fit_to
    from deeplens_dof.faces.focus import subject_and_faces
    from deeplens_dof.imaging.resize import resize

    own = photo.depth
    if own is None:
        none = f"{photo.source} holds no depth; say auto, predict or the name of a depth file"
        raise ValueError(photo.depth_problem or none)
    size = photo.height, photo.width
    seen = photo.seen_srgb8()
    found = fit_to(own.inverse_depth, *size, seen)
    if found.unit == "relative":
        found = InverseDepth(found.normalised(), "relative")
    matte = None if own.matte is None else np.clip(resize(own.matte, *size), 0, 1)
    if own.focus:
        return Scene(photo, found, own.focus, "embedded", matte, f_number=own.f_number)
    subject, faces = subject_and_faces(seen, found.values, matte)
    return Scene(photo, found, subject.point, "embedded", matte, subject.confidence, faces, own.f_number)


__all__ = ["Result", "Scene", "Settings", "analyse", "as_shot", "blur", "focus_overlay", "preview", "refocus"]
