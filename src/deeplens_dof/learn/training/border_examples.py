"""Examples for border unmixing: the near surface's coverage of each border pixel, its colour, and the colour behind it.

An example is made once from a composed pair and lies beside it: `border_000123.npz` with float16

    light        (S, S, 3) as in learn/training/pair_examples.py
    coc_px       (S, S) the input: exact, or with the errors of predicted depth (DEPTH_ERROR_SHARE)
    alpha        (S, S) coverage by the nearer of the two surfaces at a border (lens_blur/layers/borders.py), 0..1;
                 -1 where it is unknown, as in path-traced pairs
    front, back  (S, S, 3) the colours of both, linear light
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.datasets.pairs import Pair
from deeplens_dof.learn.scenes.composites.compose import scene_of
from deeplens_dof.learn.training.pair_examples import (
    as_photographed,
    as_tensor,
    cut,
    flips_of,
    make_missing,
    with_depth_errors,
)
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.lens_blur.layers.borders import find_borders, first_guess

Floats = npt.NDArray[np.float32]
_STORED = ("light", "coc_px", "alpha", "front", "back")
DEPTH_ERROR_SHARE = 0.5  # of the examples: the part with depth errors at borders


@dataclass(frozen=True)
class BorderExamples(TensorBatch):
    """A batch of (B, C, S, S): linear light, px, alpha 0..1. Its inputs are those of `BorderUnmixing`."""

    light: Tensor
    near_light: Tensor
    far_light: Tensor
    guessed: Tensor
    near_px: Tensor
    far_px: Tensor
    distance: Tensor
    alpha: Tensor
    front: Tensor
    back: Tensor


def border_path(pair: Path) -> Path:
    """The file of a pair's example, beside it."""
    return pair.with_name(pair.name.replace("pair_", "border_"))


def prepare_borders(
    pairs: list[Path], workers: int = 1, progress: Callable[[int], None] | None = None
) -> None:
    """Makes the missing examples of these pairs. progress: called with the number that exist."""
    make_missing(pairs, border_path, make_border_example, workers, progress)


def make_border_example(pair: Pair) -> dict[str, Floats]:
    """The arrays of an example, by name; they depend on the pair alone. Raises RuntimeError without the assets."""
    rng = np.random.default_rng((pair.facts["seed"], pair.facts["index"], 78))
    coc = with_depth_errors(pair.coc_px, rng) if rng.random() < DEPTH_ERROR_SHARE else pair.coc_px
    light = as_photographed(pair.rgb, rng)
    borders = find_borders(coc)
    middle = np.float32(0.5) * (borders.near_px + borders.far_px)
    if pair.facts.get("traced"):
        return {"light": light, "coc_px": coc, "alpha": np.full_like(coc, -1), "front": light, "back": light}
    depth = middle / np.float32(pair.facts["blur_px"]) + np.float32(pair.facts["focus"])
    alpha, front, back = scene_of(pair).unmixed_at(depth)
    return {"light": light, "coc_px": coc, "alpha": alpha, "front": front, "back": back}


def load_borders(
    pairs: list[Path], crop: tuple[int, int, int] | None = None, flips: npt.ArrayLike | None = None
) -> BorderExamples:
    """The examples of these pairs as a batch; crop and flips as in `pair_examples.load`."""
    columns: dict[str, list[Tensor]] = {}
    for path, flip in zip(pairs, flips_of(flips, len(pairs)), strict=True):
        with np.load(border_path(path)) as kept:
            planes = {name: cut(kept[name], crop, flip) for name in _STORED}
        coc = planes.pop("coc_px")
        borders = find_borders(coc)
        guess = first_guess(planes["light"], coc, borders)
        planes |= dict(zip(("guessed", "near_light", "far_light"), guess, strict=True))
        planes |= {"near_px": borders.near_px, "far_px": borders.far_px, "distance": borders.distance}
        for name, plane in planes.items():
            columns.setdefault(name, []).append(as_tensor(plane))
    return BorderExamples(**{name: torch.stack(samples) for name, samples in columns.items()})
