"""The matte at the photo's own size: hair, fur and leaves, from the photo itself round the coarse border.

The depth network decides on a small picture what the subject is. The network `matte` looks at the photo in tiles round that
border and gives every pixel its share of the subject (`learn/networks/matte_refinement.py`). It may add what reaches out of
the coarse matte, as hair does, and take away what lies close to its border; the inside of a subject stays whole.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.guided_filter import guided_upsample
from deeplens_dof.imaging.network_tiles import padded_batch, tile_window
from deeplens_dof.imaging.resize import resize, resize_picture
from deeplens_dof.models import MODELS, Model, open_session
from deeplens_dof.types import Array, Mask, Plane, Planes

MODEL = "matte"
TILE_PX, HALO_PX = 256, 64
# Of the coarse map's pixels: how far out of the matte the network may add, and into it take away.
_OUT_PX, _IN_PX = 14, 4
# Of the coarse matte: from which share on there is something to add to; below which something to take away.
_SOME, _WHOLE = (0.04, 0.2), (0.35, 0.65)
# Of the coarse matte: what counts as 0 and as 1 where the network has no say.
_FIRM = (0.35, 0.65)


def soft_matte(
    coarse: Plane,
    inverse_depth: Plane,
    rgb: npt.NDArray[np.uint8],
    threads: int | None = None,
    model: Model | None = None,
) -> Plane:
    """The subject's share of every pixel.

    Args:
        coarse: (h, w), 0..1, the matte of the depth network.
        inverse_depth: (h, w), 0..1, relative.
        rgb: (H, W, 3) sRGB uint8.
        threads: None is one per core.
        model: None is the shipped one.

    Returns:
        float32 (H, W), 0..1.
    """
    model = model or MODELS[MODEL]
    height, width = rgb.shape[:2]
    scale = min(1.0, model.long_side_px / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    maps = (coarse, inverse_depth, *_say(coarse))
    matte, depth, add, take = (resize(np.ascontiguousarray(part), *size) for part in maps)
    found = _between(matte, *_FIRM)
    asked = (add > 0) & (take > 0)
    if asked.any():
        alpha = _alpha(resize_picture(rgb, *size), np.dstack([matte, depth]), asked, found, model, threads)
        found = found + np.where(alpha > found, add, take) * (alpha - found)
    return found if size == (height, width) else np.clip(guided_upsample(found, rgb, threads=threads), 0, 1)


def _say(coarse: Plane) -> tuple[Plane, Plane]:
    """How far the network may add to the matte, and how far take away, 0..1, (h, w) each."""
    highest, lowest = coarse, coarse
    for _ in range(_OUT_PX):
        highest = _neighbours(highest).max(0)
    for _ in range(_IN_PX):
        lowest = _neighbours(lowest).min(0)
    return _between(highest, *_SOME), 1 - _between(lowest, *_WHOLE)


def _neighbours(values: Plane) -> Planes:
    """The values and those of the four neighbours, (5, h, w)."""
    padded = np.pad(values, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.stack([values, *around])


def _between(values: Plane, low: float, high: float) -> Plane:
    """0 up to `low`, 1 from `high` on, linear between."""
    return np.asarray(np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)


def _alpha(
    rgb: npt.NDArray[np.uint8],
    sides: Array,
    asked: Mask,
    otherwise: Plane,
    model: Model,
    threads: int | None,
) -> Plane:
    """The network's answer in the tiles where it is asked, (H, W); `otherwise` in the others. sides: (H, W, 2)."""
    session = open_session(MODEL if model is MODELS[MODEL] else model, threads)
    out, (height, width) = otherwise.copy(), asked.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            tile = slice(top, top + TILE_PX), slice(left, left + TILE_PX)
            if not asked[tile].any():
                continue
            rows = tile_window(top, height, TILE_PX, HALO_PX)
            columns = tile_window(left, width, TILE_PX, HALO_PX)
            picture = rgb[rows, columns].astype(np.float32) / np.float32(255)
            feed = {
                "rgb": padded_batch(picture, model.multiple_px),
                "sides": padded_batch(sides[rows, columns], model.multiple_px),
            }
            (answer,) = session.run([model.output_name], feed)
            target, y, x = out[tile], top - rows.start, left - columns.start
            target[:] = answer[0, 0, y : y + target.shape[0], x : x + target.shape[1]]
    return out
