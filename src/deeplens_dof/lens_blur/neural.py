"""The renderer with a network: borders taken apart by what it learnt, blurred by the exact optics.

Round the border of a near thing no photo says how much of a pixel is its own (hair, leaves, glass), what its colour is
without what shines through, and what lies behind it. The optical renderer guesses that from the few pixels nearby. The
network `lens_blur` (`learn/networks/border_unmixing.py`) has learnt it from scenes of which all is known, also for depth that
is wrong at its borders. What it says is layers (`layers/borders.py`), which the optical renderer blurs as it blurs its own.

With few lens points, for a preview, the network is not asked. A photo longer than LONGEST_PX, or blurred by more than
LARGEST_PX, is rendered by the optics at full size, and the difference that the network makes at a smaller size is added.
"""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.imaging.resize import resize
from deeplens_dof.lens_blur.layers.borders import Borders, find_borders, first_guess, taken_apart
from deeplens_dof.lens_blur.layers.layers import FloatArray, Layers
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.optics.aperture import Aperture

LONGEST_PX, LARGEST_PX = 2048, 80.0
TILE, HALO = 448, 64  # multiples of the network's; what lies farther than the halo hardly reaches its answer
_SLOPE_AT_WHITE = np.float32(1.055 / 2.4)


def render_neural(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
) -> FloatArray:
    """As `render_optical`: (H, W, 3) linear light and (H, W) signed radii in px to (H, W, 3) linear light."""
    if lens_points is not None:
        return render_optical(rgb, coc_px, aperture, threads, lens_points)
    scale = math.ceil(max(max(coc_px.shape) / LONGEST_PX, float(np.abs(coc_px).max()) / LARGEST_PX, 1))
    if scale == 1:
        return _rendered(rgb, coc_px, aperture, threads)
    blurred = render_optical(rgb, coc_px, aperture, threads)
    height, width = (max(1, round(side / scale)) for side in coc_px.shape)
    light, coc = _smaller(rgb, height, width), _nearest(coc_px, height, width) / np.float32(scale)
    known = _rendered(light, coc, aperture, threads)
    change = _to_tone(known) - _to_tone(render_optical(light, coc, aperture, threads))
    for top in range(0, coc_px.shape[0], TILE):
        rows = slice(top, min(top + TILE, coc_px.shape[0]))
        add_toned(blurred[rows], _enlarged(change, coc_px.shape, rows))
    return blurred


def _rendered(rgb: FloatArray, coc_px: FloatArray, aperture: Aperture, threads: int | None) -> FloatArray:
    return render_optical(rgb, coc_px, aperture, threads, apart=take_apart(rgb, coc_px, threads))


def take_apart(rgb: FloatArray, coc_px: FloatArray, threads: int | None = None) -> Layers | None:
    """The photo as layers, its borders as the network sees them; None where there is no border."""
    borders = find_borders(coc_px)
    if not borders.within.any():
        return None
    answer = np.zeros((*coc_px.shape, 7), np.float32)
    session, multiple = open_session("lens_blur", threads), MODELS["lens_blur"].multiple_px
    planes = _planes(rgb, coc_px, borders)
    within = borders.within
    for top in range(0, coc_px.shape[0], TILE):
        for left in range(0, coc_px.shape[1], TILE):
            here = answer[top : top + TILE, left : left + TILE]
            if not within[top : top + TILE, left : left + TILE].any():
                continue
            rows, columns = _window(top, coc_px.shape[0]), _window(left, coc_px.shape[1])
            given = {name: _padded(plane[rows, columns], multiple) for name, plane in planes.items()}
            (seen,) = session.run(["parted"], given)
            y, x = top - rows.start, left - columns.start
            here[:] = seen[0, :, y : y + here.shape[0], x : x + here.shape[1]].transpose(1, 2, 0)
    alpha, front, back = (np.ascontiguousarray(answer[..., part]) for part in (0, slice(1, 4), slice(4, 7)))
    if not np.ptp(rgb, axis=2).any():  # a picture without colour gets none
        front[:], back[:] = (part.mean(2, keepdims=True) for part in (front, back))
    return taken_apart(rgb, coc_px, borders, alpha, front, back)


def _planes(rgb: FloatArray, coc_px: FloatArray, borders: Borders) -> dict[str, FloatArray]:
    """What the network is given, (H, W, C) by name."""
    alpha, near_light, far_light = first_guess(rgb, coc_px, borders)
    sides = np.dstack([alpha, borders.near_px, borders.far_px, borders.distance])
    return {"light": rgb, "near_light": near_light, "far_light": far_light, "sides": sides}


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
