"""`render`: depth of field for a picture whose circles of confusion are known. One table of renderers."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.baselines.deeplens2018 import render_paper
from deeplens_dof.lens_blur.layers.soft_border import soft_borders
from deeplens_dof.lens_blur.neural import render_neural
from deeplens_dof.lens_blur.optical import SHARP_PX, render_optical
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.types import Image, Plane, Renderer

LARGEST_COC_PX = 4000.0
DISC_ONLY = frozenset({"paper"})  # renderers that refuse every other shape of the aperture

RENDERERS: dict[str, Callable[[Image, Plane, Aperture, int | None, int | None], Image]] = {
    "optical": render_optical,
    "matte": render_optical,  # with a matte: see `render_subject`
    "neural": render_neural,
    "paper": render_paper,
}


def render(
    rgb_linear: npt.NDArray[Any],
    coc_px: npt.NDArray[Any],
    aperture: Aperture | None = None,
    renderer: str | Renderer = "optical",
    threads: int | None = None,
    lens_points: int | None = None,
) -> Image:
    """The picture as a lens would have seen it. Where every CoC is 0 it comes back bit for bit.

    Args:
        rgb_linear: (H, W, 3) floats, linear light; may exceed 1. Light below 0 becomes 0 where anything is blurred.
        coc_px: (H, W) signed radius of the circle of confusion in pixels of this picture, -4000..4000, positive nearer
            than the focus.
        aperture: its shape; a disc by default.
        renderer: "optical", "matte", "neural" or "paper", see docs/renderers.md; or a function of your own that takes
            `rgb_linear` and `coc_px` as contiguous float32 and returns the blurred picture. It knows no aperture, threads and
            lens points.
        threads: 1 or more; one per core by default. The result does not depend on it.
        lens_points: at most so many where occlusion matters, with simpler edges, for previews (32, for example); as many as
            are needed by default.

    Returns:
        (H, W, 3) float32 linear light.

    Raises:
        ValueError: for shapes that do not fit, an empty picture, NaN or infinite values, a CoC above 4000 px, an unknown
            renderer, wrong types or counts, and an aperture that the renderer does not know.
    """
    if not callable(renderer) and (not isinstance(renderer, str) or renderer not in RENDERERS):
        raise ValueError(f"there is no renderer {renderer!r}; there are: {', '.join(RENDERERS)}")
    if aperture is not None and not isinstance(aperture, Aperture):
        raise ValueError(
            f"the aperture is {aperture!r}, expected an Aperture; make one with Aperture.parse('blades:7') or "
            "Aperture.kernel(picture)"
        )
    for name, count in (("threads", threads), ("lens_points", lens_points)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral) or count < 1):
            raise ValueError(f"{name} is {count!r}, expected a whole number of at least 1, or None")
    rgb, coc = _checked(np.asarray(rgb_linear), np.asarray(coc_px))
    if callable(renderer):
        return _own(renderer, rgb, coc, aperture)
    return RENDERERS[renderer](rgb, coc, aperture or Aperture.disc(), threads, lens_points)


def _own(renderer: Renderer, rgb: Image, coc: Plane, aperture: Aperture | None) -> Image:
    """The picture of a caller's renderer. Raises ValueError for another aperture than the disc, and another picture."""
    if aperture is not None and aperture != Aperture.disc():
        raise ValueError(
            f"the aperture is {aperture!r}, but a renderer of your own is not told it; let your function know its shape "
            "and leave this one a disc"
        )
    blurred = np.asarray(renderer(rgb.copy(), coc.copy()))
    if blurred.shape != rgb.shape or blurred.dtype.kind != "f" or not np.isfinite(blurred).all():
        raise ValueError(
            f"your renderer returned shape {blurred.shape} and type {blurred.dtype}, expected {rgb.shape} of finite floats"
        )
    return np.ascontiguousarray(blurred, np.float32)


def render_subject(
    rgb_linear: Image,
    coc_px: Plane,
    matte: Plane | None,
    aperture: Aperture,
    renderer: str | Renderer = "optical",
    threads: int | None = None,
    lens_points: int | None = None,
) -> tuple[Image, Plane]:
    """`render` for a photo whose subject's soft matte is known; the renderer "matte" unmixes its border along it.

    matte: (H, W), 0..1; None: no subject. Returns the picture, and the CoC that each pixel shows, (H, W): the larger one
    where two surfaces are seen.
    """
    if renderer == "matte" and matte is not None and np.abs(coc_px).max() > SHARP_PX:
        rgb, coc = _checked(rgb_linear, coc_px)
        borders = soft_borders(rgb, coc, np.nan_to_num(matte, nan=0.0), threads)
        if borders is not None:
            known = borders.layers
            return render_optical(rgb, coc, aperture, threads, lens_points, known=known), borders.coc_px
    return render(rgb_linear, coc_px, aperture, renderer, threads, lens_points), coc_px


def _checked(rgb: npt.NDArray[Any], coc: npt.NDArray[Any]) -> tuple[Image, Plane]:
    """Both as contiguous float32. Raises ValueError as `render` does."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0 or rgb.dtype.kind != "f":
        raise ValueError(
            f"the picture has shape {rgb.shape} and type {rgb.dtype}, expected (height, width, 3) floats in linear "
            "light; see srgb_to_linear for 8- and 16-bit sRGB"
        )
    if coc.dtype.kind not in "fiu":
        raise ValueError(f"coc_px is of type {coc.dtype}, expected numbers in pixels")
    if coc.shape != rgb.shape[:2]:
        raise ValueError(f"coc_px has shape {coc.shape}, expected {rgb.shape[:2]} like the picture")
    rgb = np.ascontiguousarray(rgb, np.float32)
    coc = np.ascontiguousarray(coc, np.float32)
    if not np.isfinite(coc).all():
        raise ValueError("coc_px holds NaN or infinite values, expected a finite radius in pixels everywhere")
    if not np.isfinite(rgb).all():
        raise ValueError("the picture holds NaN or infinite values, expected finite linear light everywhere")
    if np.abs(coc).max() > LARGEST_COC_PX:
        raise ValueError(
            f"the largest CoC is {np.abs(coc).max():.0f} px, expected at most {LARGEST_COC_PX:.0f} px"
        )
    return rgb, coc
