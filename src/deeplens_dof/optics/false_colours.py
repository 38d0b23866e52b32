"""Inverse depth and circles of confusion as false-colour pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.types import Plane

# sRGB at even steps from far to near: dark blue, green, yellow, nearly white; lightness rises evenly, to be read in grey.
FAR_TO_NEAR = bytes.fromhex("100e2c26306e185c821e867262ac4ecac83cfff5c8")
_STEPS = 1024
_SHARP, _NEARER, _FARTHER = (245, 245, 240), (40, 90, 235), (225, 60, 40)


def depth_colours(nearness: Plane) -> npt.NDArray[np.uint8]:
    """uint8 sRGB (H, W, 3) of values (H, W), 0 far .. 1 near."""
    picture: npt.NDArray[np.uint8] = colour_table(FAR_TO_NEAR, _STEPS)[
        (nearness * (_STEPS - 1)).astype(np.uint16)
    ]
    return picture


def coc_colours(coc_px: Plane) -> npt.NDArray[np.uint8]:
    """uint8 sRGB (H, W, 3) of signed CoC (H, W): white in focus, blue nearer and red farther, full at the largest."""
    share = coc_px / max(float(np.abs(coc_px).max()), 1e-6)
    nearer, farther = np.clip(share, 0, 1)[..., None], np.clip(-share, 0, 1)[..., None]
    sharp, blue, red = (np.array(colour, np.float32) for colour in (_SHARP, _NEARER, _FARTHER))
    picture: npt.NDArray[np.uint8] = np.rint(
        sharp + nearer * (blue - sharp) + farther * (red - sharp)
    ).astype(np.uint8)
    return picture


def colour_table(stops: bytes, steps: int) -> npt.NDArray[np.uint8]:
    """uint8 (steps, 3): colours between stops, three bytes each, at even steps."""
    known = np.frombuffer(stops, np.uint8).reshape(-1, 3)
    places = np.linspace(0, len(known) - 1, steps)
    columns = [np.interp(places, np.arange(len(known)), known[:, channel]) for channel in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)
