"""Depth of one photo: the network's coarse map, refined to the size of the photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.refine import refine
from deeplens_dof.inverse_depth import InverseDepth, normalise
from deeplens_dof.models import MODELS, Model, open_session
from deeplens_dof.upsample import resize_picture

MODEL = "depth"
_LONGEST_PX = 1008  # of a panorama: at most twice the side the network was trained at
_SHORTEST_PX = 224  # below this a side shows the network too little; a panorama is enlarged until it has that


def predict_depth(
    rgb: npt.NDArray[np.uint8], mirrored_too: bool = True, threads: int | None = None
) -> InverseDepth:
    """Relative inverse depth of every pixel: 0 farthest .. 1 nearest.

    rgb: sRGB uint8 (H, W, 3), any size and aspect ratio. mirrored_too: mean of the photo and its mirror
    image, more accurate at twice the network's time (docs/depth.md has the numbers). threads: None is one per
    core. Returns values float32 (H, W), unit "relative". Raises ValueError for any other array.
    """
    return InverseDepth(refine(predict_coarse(rgb, mirrored_too, threads), rgb, threads=threads), "relative")


def predict_coarse(
    rgb: npt.NDArray[np.uint8],
    mirrored_too: bool = True,
    threads: int | None = None,
    model: Model | None = None,
) -> npt.NDArray[np.float32]:
    """The network's own map, float32 (h, w) of about 266 px, 0 farthest .. 1 nearest, with soft borders.

    model: None is the one that is shipped.
    """
    _check(rgb)
    model = model or MODELS[MODEL]
    small = resize_picture(rgb, *network_size(rgb.shape[0], rgb.shape[1], model))
    values = infer(small, model, threads)
    if mirrored_too:
        values = (values + infer(small[:, ::-1], model, threads)[:, ::-1]) * np.float32(0.5)
    if not np.isfinite(values).all():
        raise ValueError(
            "the depth network answered with NaN for this picture; please report it with the picture"
        )
    return normalise(np.ascontiguousarray(values))


def network_size(height: int, width: int, model: Model) -> tuple[int, int]:
    """(height, width) at which the network sees a picture: multiples of the model's tile, as near the
    picture's aspect ratio as they can be. The longer side is the model's, more for panoramas, and never below
    one tile."""
    long_side, short_side = max(height, width), min(height, width)
    aspect = short_side / long_side
    target = min(max(model.long_side_px, _SHORTEST_PX / aspect), _LONGEST_PX)
    tile = model.multiple_px
    long_px = max(tile, round(target / tile) * tile)
    short_px = max(tile, round(long_px * aspect / tile) * tile)
    return (short_px, long_px) if height <= width else (long_px, short_px)


def infer(
    small: npt.NDArray[np.uint8], model: Model, threads: int | None, output_name: str | None = None
) -> npt.NDArray[np.float32]:
    """What the network answers, (h, w), in its own scale, to a picture of `network_size`.

    output_name: None is the model's.
    """
    picture = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(
        255
    )  # (1, 3, H, W)
    shipped = model is MODELS[MODEL]
    session = open_session(MODEL if shipped else model, threads)
    answer = session.run([output_name or model.output_name], {model.input_name: picture})[0]
    values: npt.NDArray[np.float32] = np.asarray(answer, np.float32)[0, 0]
    return values


def _check(rgb: npt.NDArray[Any]) -> None:
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        raise ValueError(f"the picture is {kind}, expected a numpy array of sRGB uint8; convert it first")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(
            f"the picture has shape {rgb.shape}, expected (height, width, 3), both sides at least 1"
        )
