"""Examples for the module that takes borders apart: what the near surface of each border covers, its colour, and what lies
behind it.

An example is made once from a composed pair and lies beside it: `border_000123.npz` with float16
    light        (S, S, 3) as in learn/training/pair_examples.py
    coc_px       (S, S) as the camera is given it: exact, or wrong as depth is (ROUGH_SHARE)
    alpha        (S, S) how much of the pixel the near one of the two surfaces of its border covers (lens_blur/borders.py),
                 -1 where the pair does not tell, as path-traced ones do not
    front, back  (S, S, 3) the colours of both, linear light
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.atomic import write_atomically
from deeplens_dof.learn.scenes.compose import Pair, scene_of
from deeplens_dof.learn.scenes.pairs import made_by, read_pair
from deeplens_dof.learn.training.pair_examples import as_photographed, rough
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.lens_blur.borders import find_borders, first_guess

Floats = npt.NDArray[np.float32]
ROUGH_SHARE = 0.5  # of the examples whose depth is wrong at its borders


@dataclass(frozen=True)
class BorderExamples(TensorBatch):
    """A batch, each (B, C, S, S): linear light, px, alpha 0..1. The inputs are those of `NeuralLensBlur`."""

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
    """Where the example of a pair lies."""
    return pair.with_name(pair.name.replace("pair_", "border_"))


def prepare_borders(
    pairs: list[Path], workers: int = 1, progress: Callable[[int], None] | None = None
) -> None:
    """Makes the examples of these pairs that are not there yet. progress: called with how many there are."""
    missing = [path for path in pairs if not border_path(path).exists()]
    for made, _ in enumerate(made_by(_write_one, missing, workers), start=1):
        if progress is not None:
            progress(len(pairs) - len(missing) + made)


def make_border_example(pair: Pair) -> dict[str, Floats]:
    """The arrays of an example, by name; they depend on the pair alone. Raises RuntimeError without the assets."""
    rng = np.random.default_rng((pair.facts["seed"], pair.facts["index"], 78))
    coc = rough(pair.coc_px, rng) if rng.random() < ROUGH_SHARE else pair.coc_px
    light = as_photographed(pair.rgb, rng)
    borders = find_borders(coc)
    middle = np.float32(0.5) * (borders.near_px + borders.far_px)
    if pair.facts.get("traced"):
        return {"light": light, "coc_px": coc, "alpha": np.full_like(coc, -1), "front": light, "back": light}
    depth = middle / np.float32(pair.facts["blur_px"]) + np.float32(pair.facts["focus"])
    alpha, front, back = scene_of(pair).parted(depth)
    return {"light": light, "coc_px": coc, "alpha": alpha, "front": front, "back": back}


def load_borders(
    pairs: list[Path], crop: tuple[int, int, int] | None = None, flips: npt.ArrayLike | None = None
) -> BorderExamples:
    """The examples of these pairs as a batch; crop and flips as in `examples.load`."""
    top, left, side = crop or (0, 0, 1 << 30)
    columns: dict[str, list[Tensor]] = {}
    turns = np.zeros((len(pairs), 2), bool) if flips is None else np.asarray(flips, bool)
    for path, (mirrored, transposed) in zip(pairs, turns, strict=True):
        planes = {}
        with np.load(border_path(path)) as kept:
            for name in ("light", "coc_px", "alpha", "front", "back"):
                part = kept[name][top : top + side, left : left + side].astype(np.float32)
                part = part[:, ::-1] if mirrored else part
                planes[name] = np.ascontiguousarray(part.swapaxes(0, 1) if transposed else part)
        coc = planes.pop("coc_px")
        borders = find_borders(coc)
        guess = first_guess(planes["light"], coc, borders)
        planes |= dict(zip(("guessed", "near_light", "far_light"), guess, strict=True))
        planes |= {"near_px": borders.near_px, "far_px": borders.far_px, "distance": borders.distance}
        for name, plane in planes.items():
            plane = plane[..., None] if plane.ndim == 2 else plane
            columns.setdefault(name, []).append(
                torch.from_numpy(np.ascontiguousarray(plane.transpose(2, 0, 1)))
            )
    return BorderExamples(**{name: torch.stack(each) for name, each in columns.items()})


def _write_one(path: Path) -> None:
    cv2.setNumThreads(1)
    made = make_border_example(read_pair(path))
    half = {name: np.minimum(value, 6e4).astype(np.float16) for name, value in made.items()}
    write_atomically(border_path(path), lambda file: np.savez(file, **half))  # type: ignore[arg-type]
