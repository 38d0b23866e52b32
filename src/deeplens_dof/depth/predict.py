"""Depth and subject of one photo: the coarse maps of the network, refined to the size of the photo."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.refine import refine
from deeplens_dof.imaging.color import check_srgb8
from deeplens_dof.imaging.guided_filter import guided_upsample
from deeplens_dof.imaging.resize import resize_picture
from deeplens_dof.models import MODELS, Model, Session, open_session
from deeplens_dof.optics.inverse_depth import InverseDepth, normalise

Map = npt.NDArray[np.float32]

MODEL = "depth"
_LONGEST_PX = 1008  # of a panorama: at most twice the side the network was trained at
_SHORTEST_PX = 224  # below this a side shows the network too little; a panorama is enlarged until it has that


class Coarse(NamedTuple):
    """Output of the network at its own size, float32 (h, w) of about 532 px.

    inverse_depth: 0 farthest .. 1 nearest, with soft borders. matte: 0..1, the share of a pixel that belongs to the subject;
    None from a network without one.
    """

    inverse_depth: Map
    matte: Map | None


def predict_depth(
    rgb: npt.NDArray[np.uint8], mirrored_too: bool = True, threads: int | None = None
) -> InverseDepth:
    """Relative inverse depth of every pixel: 0 farthest .. 1 nearest.

    Args:
        rgb: sRGB uint8 (H, W, 3), any size and aspect ratio.
        mirrored_too: average with the mirrored photo: more accurate, twice the network's time (numbers in docs/depth.md).
        threads: None is one per core.

    Returns:
        Values float32 (H, W), unit "relative".

    Raises:
        ValueError: `rgb` is another array.
    """
    return predict_scene(rgb, mirrored_too, threads)[0]


def predict_scene(
    rgb: npt.NDArray[np.uint8],
    mirrored_too: bool = True,
    threads: int | None = None,
    model: Model | None = None,
) -> tuple[InverseDepth, Map | None]:
    """`predict_depth`, and the matte of the subject, float32 (H, W) 0..1 aligned with the edges of the photo.

    model: None is the shipped one. The matte is None for a network without one.
    """
    coarse = predict_coarse(rgb, mirrored_too, threads, model)
    matte = None
    if coarse.matte is not None:
        matte = full_matte(coarse.matte, rgb, threads)
    depth = refine(coarse.inverse_depth, rgb, threads=threads, matte=matte)
    return InverseDepth(depth, "relative"), matte


def predict_coarse(
    rgb: npt.NDArray[np.uint8],
    mirrored_too: bool = True,
    threads: int | None = None,
    model: Model | None = None,
) -> Coarse:
    """The network's own maps. model: None is the shipped one."""
    check_srgb8(rgb)
    model = model or MODELS[MODEL]
    small = resize_picture(rgb, *network_size(rgb.shape[0], rgb.shape[1], model))
    depth, matte = infer(small, model, threads)
    if mirrored_too:
        depth2, matte2 = infer(small[:, ::-1], model, threads)
        depth = (depth + depth2[:, ::-1]) * np.float32(0.5)
        if matte is not None and matte2 is not None:
            matte = (matte + matte2[:, ::-1]) * np.float32(0.5)
    if not np.isfinite(depth).all():
        raise ValueError(
            "the depth network answered with NaN for this picture; please report it with the picture"
        )
    return Coarse(normalise(np.ascontiguousarray(depth)), matte)


def full_matte(coarse: Map, rgb: npt.NDArray[np.uint8], threads: int | None = None) -> Map:
    """A coarse matte at the size of the photo, aligned with its edges by a guided filter, soft where they are."""
    return np.clip(guided_upsample(coarse, rgb, threads=threads), 0, 1)


def network_size(height: int, width: int, model: Model) -> tuple[int, int]:
    """(height, width) of the network's input: multiples of the model's tile, close to the picture's aspect ratio.

    The longer side is the model's, more for panoramas, and at least one tile.
    """
    long_side, short_side = max(height, width), min(height, width)
    aspect = short_side / long_side
    target = min(max(model.long_side_px, _SHORTEST_PX / aspect), _LONGEST_PX)
    tile = model.multiple_px
    long_px = max(tile, round(target / tile) * tile)
    short_px = max(tile, round(long_px * aspect / tile) * tile)
    return (short_px, long_px) if height <= width else (long_px, short_px)


def infer(small: npt.NDArray[np.uint8], model: Model, threads: int | None) -> tuple[Map, Map | None]:
    """Inverse depth (h, w) in the network's own scale, and the matte or None, of a picture of `network_size`."""
    planes = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32)  # (1, 3, H, W)
    picture = planes / np.float32(255)
    session = open_session(MODEL if model is MODELS[MODEL] else model, threads)
    wanted = [model.output_name]
    if gives_a_matte(model, session):
        wanted.append(model.matte_name)
    answers = session.run(wanted, {model.input_name: picture})
    depth, *matte = (np.asarray(answer, np.float32)[0, 0] for answer in answers)
    return depth, matte[0] if matte else None


def gives_a_matte(model: Model, session: Session) -> bool:
    """Whether the network has an output for the subject's matte."""
    return model.matte_name in {output.name for output in session.get_outputs()}
