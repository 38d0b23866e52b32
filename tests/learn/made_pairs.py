"""Pairs that need no assets: noise behind a board of noise. Not true, but of the right form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.learn.scenes.compose import Composition, Layer, Pair
from deeplens_dof.learn.scenes.integrate import SUBPIXELS
from deeplens_dof.learn.scenes.pairs import pair_files, pair_path, write_pair
from deeplens_dof.learn.training import border_examples

SIDE = 256


def scene(index: int) -> Composition:
    """A wall of noise, and a board of noise before its right half that lets a quarter of the light pass."""
    rng = np.random.default_rng(index)
    side = SIDE * SUBPIXELS

    def texture() -> np.ndarray:
        colour = np.kron(rng.random((side // 8, side // 8, 3), np.float32), np.ones((8, 8, 1), np.float32))
        return np.dstack([colour, np.ones((side, side), np.float32)])

    board, wall = texture(), texture()
    board[:, : side // 2] = 0
    board *= np.float32(0.75)
    return Composition(
        (Layer(board, np.array([1, 0, 0], np.float32)), Layer(wall, np.zeros(3, np.float32))), SIDE, 0
    )


def made_pair(index: int) -> Pair:
    shown = scene(index)
    facts = {"seed": 0, "index": index, "held_out": False, "shape": "disc", "focus": 2 / 3, "blur_px": 6.0}
    coc = np.asarray((shown.inverse_depth() - np.float32(2 / 3)) * 6, np.float32)
    return Pair(shown.light(), shown.light(), coc, shown.surfaces(), facts)


def write_pairs(folder: Path, count: int = 4) -> Path:
    """The folder with so many pairs, and what is to be learnt of their borders beside them."""
    for index in range(count):
        write_pair(pair_path(folder, index), made_pair(index))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(border_examples, "scene_of", lambda pair: scene(pair.facts["index"]))
        border_examples.prepare_borders(pair_files(folder))
    return folder
