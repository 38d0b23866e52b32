"""Picture files of benchmarks: sRGB photos, and EXR with float channels. Errors are sentences that name the file."""

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
    """uint8 sRGB (H, W, 3), upright. Raises ValueError or OSError for anything but a picture."""
    return read(path).srgb8()


def read_exr(path: Path) -> tuple[Floats, list[str]]:
    """float32 (H, W, C) as stored, and the names of the channels. Raises ValueError for anything but a complete EXR."""
    found = read_samples(path, formats=("EXR",), kind="float")
    return found.values, list(found.channels)


def read_exr_rgb(path: Path) -> Floats:
    """Channels R, G and B of an EXR file, (H, W, 3), linear light. Raises ValueError when one is missing, or for NaN."""
    pixels, names = read_exr(path)
    wanted = [place for letter in "RGB" if (place := _channel(names, letter)) is not None]
    if len(wanted) < 3:
        raise ValueError(f"{path} has the channels {', '.join(names)}, expected R, G and B")
    rgb = np.ascontiguousarray(pixels[..., wanted])
    if not np.isfinite(rgb).all():
        raise ValueError(f"{path} holds NaN or infinite values, expected finite linear light")
    return rgb


def read_exr_depth(path: Path) -> Floats:
    """Depth in metres, (H, W): channel Z, or else the first. Raises ValueError for values not above 0."""
    pixels, names = read_exr(path)
    metres = np.ascontiguousarray(pixels[..., _channel(names, "Z") or 0])
    if not (metres > 0).all():
        raise ValueError(f"{path} holds depths that are not above 0, expected metres")
    return metres


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError for anything else."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); copy it again") from error


def _channel(names: list[str], letter: str) -> int | None:
    """Index of a channel, with or without its layer's name; None when it is missing."""
    short = [name.rsplit(".", 1)[-1].upper() for name in names]
    return short.index(letter) if letter in short else None
