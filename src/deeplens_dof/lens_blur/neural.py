"""The renderer with a network: borders unmixed by a network, blurred by the exact optics.

Around the border of a near object no photo tells how much of a pixel belongs to it (hair, leaves, glass), its colour
without the light that shines through, or the background. The optical renderer guesses them from the few pixels nearby.
The network `lens_blur` (`learn/networks/border_unmixing.py`) was trained on scenes for which all of it is known, also with
depth that is wrong at borders. Its output becomes layers (`layers/borders.py`), which the optical renderer blurs like
its own.

Previews, with few lens points, skip the network. A photo longer than UNMIX_LONGEST_PX, or blurred by more than
UNMIX_LARGEST_PX, is rendered by the optics at full size, and the difference that the network makes at a smaller size is
added.
"""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.imaging.network_tiles import padded_batch, tile_window
from deeplens_dof.imaging.resize import resize
from deeplens_dof.lens_blur.layers.borders import Borders, find_borders, first_guess, to_layers
from deeplens_dof.lens_blur.layers.layers import Layers
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.optics.inverse_depth import sample_nearest
from deeplens_dof.types import Array, Image, Plane

UNMIX_LONGEST_PX, UNMIX_LARGEST_PX = 2048, 80.0
# Multiples of the network's; pixels beyond the halo hardly change its output.
UNMIX_TILE, UNMIX_HALO = 448, 64
_SLOPE_AT_WHITE = np.float32(1.055 / 2.4)


def render_neural(
    rgb: Image,
    coc_px: Plane,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
) -> Image:
    """As `render_optical`: (H, W, 3) linear light and (H, W) signed radii in px to (H, W, 3) linear light."""
    if lens_points is not None:
        return render_optical(rgb, coc_px, aperture, threads, lens_points)
    scale = math.ceil(
        max(max(coc_px.shape) / UNMIX_LONGEST_PX, float(np.abs(coc_px).max()) / UNMIX_LARGEST_PX, 1)
    )
    if scale == 1:
        return _at_this_size(rgb, coc_px, aperture, threads)
    blurred = render_optical(rgb, coc_px, aperture, threads)
    height, width = (max(1, round(side / scale)) for side in coc_px.shape)
    small, coc = _smaller(rgb, height, width), sample_nearest(coc_px, height, width) / np.float32(scale)
    neural = _at_this_size(small, coc, aperture, threads)
    optical = render_optical(small, coc, aperture, threads)
    change = _to_tone(neural) - _to_tone(optical)
    for top in range(0, coc_px.shape[0], UNMIX_TILE):
        rows = slice(top, min(top + UNMIX_TILE, coc_px.shape[0]))
        add_toned(blurred[rows], _enlarged(change, coc_px.shape, rows))
    return blurred


def _at_this_size(rgb: Image, coc_px: Plane, aperture: Aperture, threads: int | None) -> Image:
    return render_optical(rgb, coc_px, aperture, threads, known=unmix_borders(rgb, coc_px, threads))


def unmix_borders(rgb: Image, coc_px: Plane, threads: int | None = None) -> Layers | None:
    """The photo as layers, its borders unmixed by the network; None where there is no border.

    Args:
        rgb: (H, W, 3) linear light.
        coc_px: (H, W) signed CoC radii in px.
        threads: None for one per core.
    """
    borders = find_borders(coc_px)
    if not borders.within.any():
        return None
    output = _network_output(rgb, coc_px, borders, threads)
    alpha, front, back = (np.ascontiguousarray(output[..., part]) for part in (0, slice(1, 4), slice(4, 7)))
    if not np.ptp(rgb, axis=2).any():  # a grey picture stays grey
        front[:], back[:] = (colour.mean(2, keepdims=True) for colour in (front, back))
    return to_layers(rgb, coc_px, borders, alpha, front, back)


def _network_output(rgb: Image, coc_px: Plane, borders: Borders, threads: int | None) -> Array:
    """(H, W, 7): alpha, colour of the near surface, colour behind it; 0 in tiles without a border."""
    output = np.zeros((*coc_px.shape, 7), np.float32)
    session, multiple = open_session("lens_blur", threads), MODELS["lens_blur"].multiple_px
    inputs = _inputs(rgb, coc_px, borders)
    within = borders.within
    height, width = coc_px.shape
    for top in range(0, height, UNMIX_TILE):
        for left in range(0, width, UNMIX_TILE):
            tile = slice(top, top + UNMIX_TILE), slice(left, left + UNMIX_TILE)
            if not within[tile].any():
                continue
            rows = tile_window(top, height, UNMIX_TILE, UNMIX_HALO)
            columns = tile_window(left, width, UNMIX_TILE, UNMIX_HALO)
            feed = {name: padded_batch(values[rows, columns], multiple) for name, values in inputs.items()}
            (answer,) = session.run(["parted"], feed)
            target, y, x = output[tile], top - rows.start, left - columns.start
            target[:] = answer[0, :, y : y + target.shape[0], x : x + target.shape[1]].transpose(1, 2, 0)
    return output


def _inputs(rgb: Image, coc_px: Plane, borders: Borders) -> dict[str, Array]:
    """The network's inputs by name, (H, W, C)."""
    alpha, near_light, far_light = first_guess(rgb, coc_px, borders)
    sides = np.dstack([alpha, borders.near_px, borders.far_px, borders.distance])
    return {"light": rgb, "near_light": near_light, "far_light": far_light, "sides": sides}


def add_toned(light: Image, change: Image) -> None:
    """Adds `change` to the tone of `light`, both (h, w, 3), in place; light without a change stays bit for bit.

    The tone is the sRGB curve, continued above white by a logarithm (`learn/tone.py`).
    """
    touched = change.any(2)
    if touched.any():
        light[touched] = _from_tone(_to_tone(light[touched]) + change[touched])


def _to_tone(light: Image) -> Image:
    middle = np.float32(1.055) * np.clip(light, 0.0031308, 1) ** np.float32(1 / 2.4) - np.float32(0.055)
    bright = _SLOPE_AT_WHITE * np.log(np.maximum(light, np.float32(1)))
    return np.where(light < 0.0031308, np.maximum(light, 0) * np.float32(12.92), middle + bright)


def _from_tone(tone: Image) -> Image:
    middle = ((np.clip(tone, 0.04045, 1) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    bright = np.exp((np.maximum(tone, np.float32(1)) - 1) / _SLOPE_AT_WHITE)
    return np.where(tone < 0.04045, np.maximum(tone, 0) / np.float32(12.92), middle * bright)


def _smaller(picture: Image, height: int, width: int) -> Image:
    return np.dstack([resize(np.ascontiguousarray(picture[..., c]), height, width) for c in range(3)])


def _enlarged(change: Image, shape: tuple[int, ...], rows: slice) -> Image:
    """Those rows of `change` at full size."""
    height, width = shape
    at = (np.arange(rows.start, rows.stop) + np.float32(0.5)) * np.float32(
        change.shape[0] / height
    ) - np.float32(0.5)
    low = np.clip(np.floor(at).astype(np.intp), 0, change.shape[0] - 1)
    high = np.minimum(low + 1, change.shape[0] - 1)
    share = np.clip(at - low, 0, 1)[:, None, None]
    band = change[low] * (1 - share) + change[high] * share
    return np.dstack([resize(np.ascontiguousarray(band[..., c]), band.shape[0], width) for c in range(3)])
