"""Synthetic pairs: a sharp picture with depth and its rendering through a lens. One .npz file each, complete or absent.

`<out>/000/pair_000123.npz` contains
    rgb, bokeh   float16 (S, S, 3), linear light, may exceed 1
    coc_px       float16 (S, S), signed radius of the circle of confusion
    surface      uint8 (S, S), index of the visible surface, 0 the nearest
    facts        JSON as bytes: seed, index, held_out, shape, focus, blur_px, version
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.runtime.atomic_write import write_atomically

Floats = npt.NDArray[np.float32]
VERSION = 3


@dataclass(frozen=True)
class Pair:
    """Training pair of the lens blur. rgb, bokeh: linear light (S, S, 3), may exceed 1. coc_px: signed CoC (S, S) in px.
    surface: index of the visible surface (S, S), 0 the nearest. facts: seed, index, shape, focus, blur_px.
    """

    rgb: Floats
    bokeh: Floats
    coc_px: Floats
    surface: npt.NDArray[np.uint8]
    facts: dict[str, Any]


def pair_path(folder: Path, index: int) -> Path:
    """Path of pair `index`: a thousand per folder."""
    return folder / f"{index // 1000:03d}" / f"pair_{index:06d}.npz"


def pair_files(folder: Path) -> list[Path]:
    """All complete pairs of a folder, in order. Raises ValueError when there are none."""
    found = sorted(folder.glob("*/pair_*.npz"))
    if not found:
        raise ValueError(
            f"{folder} holds no pairs; make some with `deeplens scenes {folder} --pairs --count 1000 --seed 1`"
        )
    return found


def write_pair(path: Path, pair: Pair) -> None:
    """Writes a pair, completely or not at all."""
    facts = json.dumps({**pair.facts, "version": VERSION}).encode()
    half = {
        name: np.minimum(getattr(pair, name), 6e4).astype(np.float16) for name in ("rgb", "bokeh", "coc_px")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path,
        lambda file: np.savez(file, surface=pair.surface, facts=np.frombuffer(facts, np.uint8), **half),
    )


def read_pair(path: Path) -> Pair:
    """Reads a pair. Raises ValueError, one sentence, when the file is not one."""
    try:
        with np.load(path) as kept:
            rgb, bokeh, coc = (kept[name].astype(np.float32) for name in ("rgb", "bokeh", "coc_px"))
            surface, facts = kept["surface"], json.loads(kept["facts"].tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a pair ({error}); expected an .npz file as `deeplens scenes --pairs` writes it; delete it "
            "and run that again"
        ) from error
    if rgb.ndim != 3 or rgb.shape != bokeh.shape or coc.shape != rgb.shape[:2] or surface.shape != coc.shape:
        raise ValueError(
            f"{path} holds pictures of shapes {rgb.shape}, {bokeh.shape}, {coc.shape}, expected one size"
        )
    return Pair(rgb, bokeh, coc, surface, facts)


def largest_coc_px(path: Path) -> float:
    """The largest CoC radius of a pair, without reading the rest. Raises as `read_pair`."""
    try:
        with np.load(path) as kept:
            return float(np.abs(kept["coc_px"]).max())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return float(np.abs(read_pair(path).coc_px).max())  # raises with the reason
