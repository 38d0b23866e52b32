"""Examples for upsampling, the 2018 network and joint training: pairs as photos with estimated depth, and renderings.

An example is made once from a pair and lies beside it: `example_000123.npz` with float16

    light        (S, S, 3) the input: true light, or 8-bit sRGB with its clipped light recovered
    coc_px       (S, S) its CoC: exact, or with the errors of predicted depth (DEPTH_ERROR_SHARE)
    optical      (S, S, 3) the optical renderer's result
    half         (S/2, S/2, 3) its result at half the size (`lens_blur/baselines/halving.py`)
    quarter      (S/4, S/4, 3) its result at a quarter
    truth        (S, S, 3) the true bokeh
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.datasets.pairs import Pair, read_pair
from deeplens_dof.highlights.rule import recover_highlights
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.learn.scenes.processes import run_jobs
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.lens_blur.render import render
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.atomic_write import write_atomically

Floats = npt.NDArray[np.float32]
NAMES = ("light", "coc_px", "optical", "half", "quarter", "truth")
_SMALLER = {"half": 2, "quarter": 4}
DEPTH_ERROR_SHARE = 0.3  # of the examples: the part with depth errors at borders
LIGHT_SHARES = (0.2, 0.4, 0.4)  # true light; clipped and recovered fully; recovered by default


@dataclass(frozen=True)
class Examples(TensorBatch):
    """A batch of (B, C, S, S), linear light or px; `half` is half as large, `quarter` a quarter."""

    light: Tensor
    coc_px: Tensor
    optical: Tensor
    half: Tensor
    quarter: Tensor
    truth: Tensor


def example_path(pair: Path) -> Path:
    """The file of a pair's example, beside it."""
    return pair.with_name(pair.name.replace("pair_", "example_"))


def prepare(pairs: list[Path], workers: int = 1, progress: Callable[[int], None] | None = None) -> None:
    """Makes the missing examples of these pairs. progress: called with the number that exist."""
    make_missing(pairs, example_path, make_example, workers, progress)


def make_missing(
    pairs: list[Path],
    path_of: Callable[[Path], Path],
    make: Callable[[Pair], dict[str, Floats]],
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes the arrays `make(pair)` to `path_of(file)`, as float16, for each pair that has no such file yet."""
    missing = [path for path in pairs if not path_of(path).exists()]
    for made, _ in enumerate(run_jobs(partial(_write_one, path_of, make), missing, workers), start=1):
        if progress is not None:
            progress(len(pairs) - len(missing) + made)


def make_example(pair: Pair) -> dict[str, Floats]:
    """The arrays of an example, by name; they depend on the pair alone."""
    rng = np.random.default_rng((pair.facts["seed"], pair.facts["index"], 77))
    coc = with_depth_errors(pair.coc_px, rng) if rng.random() < DEPTH_ERROR_SHARE else pair.coc_px
    light = as_photographed(pair.rgb, rng)
    aperture = Aperture.parse(pair.facts["shape"])
    rendered = render(light, coc, aperture, threads=1)
    smaller = halved(light, coc)
    half, quarter = (render(*picture, aperture, threads=1) for picture in (smaller, halved(*smaller)))
    made = {"light": light, "coc_px": coc, "optical": rendered, "half": half, "quarter": quarter}
    return {**made, "truth": pair.bokeh}


def load(
    pairs: list[Path], crop: tuple[int, int, int] | None = None, flips: npt.ArrayLike | None = None
) -> Examples:
    """The examples of these pairs as a batch.

    crop: row, column and side, multiples of 4. flips: (B, 2) of 0 and 1, mirrored left to right, transposed.
    """
    columns: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for path, flip in zip(pairs, flips_of(flips, len(pairs)), strict=True):
        with np.load(example_path(path)) as kept:
            for name in NAMES:
                columns[name].append(as_tensor(cut(kept[name], crop, flip, _SMALLER.get(name, 1))))
    return Examples(**{name: torch.stack(samples) for name, samples in columns.items()})


def flips_of(flips: npt.ArrayLike | None, count: int) -> npt.NDArray[np.bool_]:
    """(count, 2): mirrored left to right, transposed; None: neither."""
    return np.zeros((count, 2), bool) if flips is None else np.asarray(flips, bool)


def cut(
    plane: npt.NDArray[np.float16], crop: tuple[int, int, int] | None, flip: npt.ArrayLike, scale: int = 1
) -> Floats:
    """The plane in float32, cropped, then flipped. scale: the plane is this many times smaller than the picture."""
    part = plane
    if crop:
        top, left, side = crop
        part = part[top // scale : (top + side) // scale, left // scale : (left + side) // scale]
    mirrored, transposed = np.asarray(flip, bool)
    part = part[:, ::-1] if mirrored else part
    part = part.swapaxes(0, 1) if transposed else part
    return np.ascontiguousarray(part, np.float32)


def as_tensor(plane: Floats) -> Tensor:
    """(H, W) or (H, W, C) to (C, H, W)."""
    plane = plane[..., None] if plane.ndim == 2 else plane
    return torch.from_numpy(np.ascontiguousarray(plane.transpose(2, 0, 1)))


def as_photographed(rgb: Floats, rng: np.random.Generator) -> Floats:
    """The input light: true, or from 8 bits with its clipped part recovered, fully or by default."""
    kind = rng.choice(3, p=LIGHT_SHARES)
    if kind == 0:
        return rgb
    clipped = np.ascontiguousarray(srgb_to_linear(linear_to_srgb(rgb)))
    return recover_highlights(clipped, 1.0 if kind == 1 else 0.25)


def with_depth_errors(coc: Floats, rng: np.random.Generator) -> Floats:
    """The CoC with errors like those of predicted depth: borders shifted inwards or outwards, soft, coarse or warped."""
    side = 2 * int(rng.integers(1, 4)) + 1
    kernel = np.ones((side, side), np.uint8)
    kind = rng.integers(5)
    if kind == 0:
        return np.asarray(cv2.dilate(coc, kernel), np.float32)
    if kind == 1:
        return np.asarray(cv2.erode(coc, kernel), np.float32)
    if kind == 2:
        return np.asarray(cv2.GaussianBlur(coc, (0, 0), rng.uniform(0.7, 3.0)), np.float32)
    if kind == 3:
        return _bent(coc, rng)
    cells = int(coc.shape[0] / rng.uniform(2, 5))
    small = cv2.resize(coc, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, coc.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _bent(coc: Floats, rng: np.random.Generator) -> Floats:
    """A smooth random warp by up to some pixels."""
    waves = cv2.resize(
        rng.normal(0, rng.uniform(0.7, 3), (*rng.integers(4, 24, 2), 2)).astype(np.float32),
        coc.shape[::-1],
        interpolation=cv2.INTER_CUBIC,
    )
    rows, columns = np.indices(coc.shape, dtype=np.float32)
    return np.asarray(
        cv2.remap(
            coc,
            columns + waves[..., 0],
            rows + waves[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _write_one(
    path_of: Callable[[Path], Path], make: Callable[[Pair], dict[str, Floats]], path: Path
) -> None:
    cv2.setNumThreads(1)
    half = {name: np.minimum(value, 6e4).astype(np.float16) for name, value in make(read_pair(path)).items()}
    write_atomically(path_of(path), lambda file: np.savez(file, **half))  # type: ignore[arg-type]
