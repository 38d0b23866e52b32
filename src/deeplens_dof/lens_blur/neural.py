"""The renderer with a network: the optical one, corrected where it has to guess.

What a near object hides is seen past it through a wide lens; where a border is soft no photo says what is its own and
what lies behind; how bright clipped light was, nobody knows. The optical renderer carries on what is next to it; the
network `lens_blur` (`learn/networks/lens_blur.py`) has learnt from scenes of which all is known what that does to the blur,
and adds the difference. Out of reach of depth steps and clipped light the optical picture stays as it is, bit for bit.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from deeplens_dof.models import MODELS, open_session
from deeplens_dof.upsample import resize

from .aperture import Aperture
from .optical import render_optical

FloatArray = npt.NDArray[np.float32]
LARGEST_PX = 34.0  # CoC that the network was trained up to; larger ones are corrected at a smaller scale
# Without a change of CoC between neighbours or blurred light beyond these there is nothing to correct; a little below the
# network's own bounds.
STEP_PX, CLIPPED, BLURRED_PX = 0.25, 0.89, 0.3
TILE, HALO = 512, 112  # cells; what lies farther than the halo does not reach the network's answer
_SLOPE_AT_WHITE = np.float32(1.055 / 2.4)


def render_neural(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
) -> FloatArray:
    """As `render_optical`: (H, W, 3) linear light and (H, W) signed radii in px to (H, W, 3) linear light."""
    blurred = render_optical(rgb, coc_px, aperture, threads, lens_points)
    scale = max(1, math.ceil(float(np.abs(coc_px).max()) / LARGEST_PX))
    height, width = (max(1, round(side / scale)) for side in coc_px.shape)
    if scale == 1:
        light, rendered, coc = rgb, blurred, coc_px
    else:
        light, rendered = _smaller(rgb, height, width), _smaller(blurred, height, width)
        coc = _nearest(coc_px, height, width) / np.float32(scale)
    change = correction(light, rendered, coc, threads)
    if change is None:
        return blurred
    for top in range(0, coc_px.shape[0], TILE):
        rows = slice(top, min(top + TILE, coc_px.shape[0]))
        add_toned(blurred[rows], change[rows] if scale == 1 else _enlarged(change, coc_px.shape, rows))
    return blurred


def correction(
    light: FloatArray, rendered: FloatArray, coc_px: FloatArray, threads: int | None = None
) -> FloatArray | None:
    """What the network adds to the toned picture, (h, w, 3); None where nothing was guessed."""
    marks = _guessed(light, coc_px)
    if not marks.any():
        return None
    change = np.zeros_like(light)
    height, width = coc_px.shape
    session, multiple = open_session("lens_blur", threads), MODELS["lens_blur"].multiple_px
    planes = [np.ascontiguousarray(part) for part in (light, rendered, coc_px[..., None])]

    def tile(top: int, left: int) -> None:
        rows, columns = _window(top, height), _window(left, width)
        if not marks[rows, columns].any():
            return
        given = {
            name: _padded(part[rows, columns], multiple)
            for name, part in zip(("light", "optical", "coc_px"), planes, strict=True)
        }
        (answer,) = session.run(["change"], given)
        inner = (
            slice(top - rows.start, top - rows.start + TILE),
            slice(left - columns.start, left - columns.start + TILE),
        )
        part = answer[0].transpose(1, 2, 0)[: rows.stop - rows.start, : columns.stop - columns.start][inner]
        change[top : top + part.shape[0], left : left + part.shape[1]] = part

    with ThreadPoolExecutor(1) as pool:  # one after the other: the session has the cores
        list(
            pool.map(
                lambda at: tile(*at), [(y, x) for y in range(0, height, TILE) for x in range(0, width, TILE)]
            )
        )
    return change


def add_toned(light: FloatArray, change: FloatArray) -> None:
    """Adds `change` to the tone of `light` (h, w, 3), in place; light without a change stays as it is, to the bit.

    The tone is the sRGB curve, continued above white by a logarithm (`learn/tone.py`).
    """
    touched = change.any(2)
    if touched.any():
        light[touched] = _from_tone(_to_tone(light[touched]) + change[touched])


def _to_tone(light: FloatArray) -> FloatArray:
    middle = np.float32(1.055) * np.clip(light, 0.0031308, 1) ** np.float32(1 / 2.4) - np.float32(0.055)
    bright = _SLOPE_AT_WHITE * np.log(np.maximum(light, np.float32(1)))
    return np.where(light < 0.0031308, np.maximum(light, 0) * np.float32(12.92), middle + bright)


def _from_tone(tone: FloatArray) -> FloatArray:
    middle = ((np.clip(tone, 0.04045, 1) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    bright = np.exp((np.maximum(tone, np.float32(1)) - 1) / _SLOPE_AT_WHITE)
    return np.where(tone < 0.04045, np.maximum(tone, 0) / np.float32(12.92), middle * bright)


def _guessed(light: FloatArray, coc_px: FloatArray) -> npt.NDArray[np.bool_]:
    """Where a depth step or clipped light begins to be guessed at, (h, w)."""
    marks: npt.NDArray[np.bool_] = (light.max(2) >= CLIPPED) & (np.abs(coc_px) > BLURRED_PX)
    marks[:, 1:] |= np.abs(np.diff(coc_px, axis=1)) > STEP_PX
    marks[1:] |= np.abs(np.diff(coc_px, axis=0)) > STEP_PX
    return marks


def _window(start: int, length: int) -> slice:
    return slice(max(0, start - HALO), min(length, start + TILE + HALO))


def _padded(part: FloatArray, multiple: int) -> FloatArray:
    """(h, w, C) to (1, C, H, W), the last row and column repeated up to the next multiple."""
    rows, columns = (-side % multiple for side in part.shape[:2])
    padded = np.pad(part, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])


def _smaller(picture: FloatArray, height: int, width: int) -> FloatArray:
    return np.dstack(
        [resize(np.ascontiguousarray(picture[..., channel]), height, width) for channel in range(3)]
    )


def _nearest(plane: FloatArray, height: int, width: int) -> FloatArray:
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.intp)
        for new, old in zip((height, width), plane.shape, strict=True)
    )
    return np.asarray(plane[rows[:, None], columns])


def _enlarged(change: FloatArray, shape: tuple[int, ...], rows: slice) -> FloatArray:
    """These rows of the change at the full size."""
    height, width = shape
    at = (np.arange(rows.start, rows.stop) + np.float32(0.5)) * np.float32(
        change.shape[0] / height
    ) - np.float32(0.5)
    low = np.clip(np.floor(at).astype(np.intp), 0, change.shape[0] - 1)
    high = np.minimum(low + 1, change.shape[0] - 1)
    share = np.clip(at - low, 0, 1)[:, None, None]
    band = change[low] * (1 - share) + change[high] * share
    return np.dstack(
        [resize(np.ascontiguousarray(band[..., channel]), band.shape[0], width) for channel in range(3)]
    )
