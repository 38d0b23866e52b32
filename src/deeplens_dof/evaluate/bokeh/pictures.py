"""Picture files of benchmarks: sRGB photos, and EXR, whose channels are floats. Errors are sentences that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo import read
from deeplens_dof.photo.codecs.samples import read_samples

Floats = npt.NDArray[np.float32]


def read_srgb(path: Path) -> npt.NDArray[np.uint8]:
    """uint8 sRGB (H, W, 3), upright. Raises ValueError or OSError for what is no picture."""
    return read(path).srgb8()


def read_exr(path: Path) -> tuple[Floats, list[str]]:
    """float32 (H, W, C) as stored, and the channels' names. Raises ValueError for a file that is no whole EXR picture."""
    found = read_samples(path, formats=("EXR",), kind="float")
    return found.values, list(found.channels)


def read_exr_rgb(path: Path) -> Floats:
    """The channels R, G and B of an EXR file, (H, W, 3), linear light. Raises ValueError without them or for NaN."""
    pixels, names = read_exr(path)
    wanted = [place for letter in "RGB" if (place := _channel(names, letter)) is not None]
    if len(wanted) < 3:
        raise ValueError(f"{path} has the channels {', '.join(names)}, expected R, G and B")
    rgb = np.ascontiguousarray(pixels[..., wanted])
    if not np.isfinite(rgb).all():
        raise ValueError(f"{path} holds NaN or infinite values, expected finite linear light")
    return rgb


def read_exr_depth(path: Path) -> Floats:
    """Metres of every pixel, (H, W): the channel Z, or else the first. Raises ValueError for values not above 0."""
    pixels, names = read_exr(path)
    metres = np.ascontiguousarray(pixels[..., _channel(names, "Z") or 0])
    if not (metres > 0).all():
        raise ValueError(f"{path} holds depths that are not above 0, expected metres")
    return metres


def read_json(path: Path) -> Any:
    """Raises ValueError for what is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); copy it again") from error


def _channel(names: list[str], letter: str) -> int | None:
    """Where a channel is, with or without its layer's name; None where it is not."""
    short = [name.rsplit(".", 1)[-1].upper() for name in names]
    return short.index(letter) if letter in short else None
