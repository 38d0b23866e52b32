"""The renderer of the DeepLens paper (Wang et al., SIGGRAPH Asia 2018), trained by this repository: a baseline.

Its network sees 15 px of sRGB and blurs by no more. A larger blur is made of a photo of half the size, a quarter and so on,
and brought to full size by the guided upsampling, again and again by two, each time with the sharp photo beside it. So it
knows no light above white, no shape but the disc, and what it makes of a wide blur is coarse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.lens_blur.baselines.guided_upsample import doubled
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count

FloatArray = npt.NDArray[np.float32]
LARGEST_PX = 7.5  # CoC that the network can blur by; it was trained up to 7
SHARP_PX = 0.02  # a CoC below this moves no light
TILE = 512  # pixels; each tile is given as much more on all sides as the network sees
HALO = 48
MARGIN = 16  # pixels by which the picture's border is repeated: the network takes what lies beyond for black


def render_paper(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
) -> FloatArray:
    """rgb (H, W, 3) linear light and coc_px (H, W) signed radii in px to (H, W, 3) linear light, all float32.

    Light above white is clipped at 1, unless the whole picture is in focus: then it comes back bit for bit. lens_points
    change nothing. Raises ValueError for an aperture that is no disc.
    """
    if not aperture.is_disc:
        raise ValueError(
            f"the renderer 'paper' knows the disc alone, and the aperture is {aperture.kind}; take the shape 'disc' or "
            "another renderer"
        )
    largest_px = float(np.abs(coc_px).max())
    if largest_px <= SHARP_PX:
        return rgb.copy()
    height, width = coc_px.shape
    doublings = max(0, math.ceil(math.log2(largest_px / LARGEST_PX)))
    sizes = [_whole(np.clip(rgb, 0, 1), coc_px, 2**doublings)]
    with ThreadPoolExecutor(threads or thread_count()) as pool:
        for _ in range(doublings):
            sizes.append(halved(*sizes[-1], pool))
        blurred = _by_network(*sizes[-1], threads)
        for size in range(doublings - 1, -1, -1):
            blurred = doubled(*sizes[size], sizes[size + 1][0], blurred, pool)
    return np.ascontiguousarray(blurred[:height, :width])


def _by_network(light: FloatArray, coc_px: FloatArray, threads: int | None) -> FloatArray:
    session, multiple = open_session("paper", threads), MODELS["paper"].multiple_px
    srgb = np.asarray(linear_to_srgb(light, np.float32), np.float32)
    srgb = np.pad(srgb, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    coc_px = np.pad(coc_px, MARGIN, mode="edge")
    height, width = coc_px.shape

    def tile(rows: slice, columns: slice) -> FloatArray:
        given = {
            "srgb": _planes(srgb[rows, columns], multiple),
            "coc_px": _planes(coc_px[rows, columns, None], multiple),
        }
        (answer,) = session.run(["blurred"], given)
        return np.asarray(answer, np.float32)

    blurred = _tiled(tile, height, width, HALO)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return srgb_to_linear(np.clip(blurred, 0, 1))


def _tiled(tile: Callable[[slice, slice], FloatArray], height: int, width: int, halo: int) -> FloatArray:
    """(height, width, 3), put together of `tile(rows, columns)`: (1, 3, h, w) or more, of windows a halo larger."""
    out = np.empty((height, width, 3), np.float32)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            rows, columns = _window(top, height, halo), _window(left, width, halo)
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            part = tile(rows, columns)[0].transpose(1, 2, 0)
            out[top:bottom, left:right] = part[
                top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
            ]
    return out


def _window(start: int, length: int, halo: int) -> slice:
    return slice(max(0, start - halo), min(length, start + TILE + halo))


def _planes(part: FloatArray, multiple: int = 1) -> FloatArray:
    """(h, w, C) to (1, C, H, W), the last row and column repeated up to the next multiple."""
    rows, columns = (-side % multiple for side in part.shape[:2])
    padded = np.pad(part, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])


def _whole(light: FloatArray, coc_px: FloatArray, multiple: int) -> tuple[FloatArray, FloatArray]:
    """Both with sides that are multiples, the last row and column repeated."""
    rows, columns = ((0, -side % multiple) for side in coc_px.shape)
    return np.pad(light, (rows, columns, (0, 0)), mode="edge"), np.pad(coc_px, (rows, columns), mode="edge")
