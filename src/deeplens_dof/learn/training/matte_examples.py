"""Examples for matte refinement: composed photos with their true alpha and colours, and the maps of the depth network.

    python -m deeplens_dof.learn.training.matte_examples DATA OUT --count 1000 [--seed 1]

DATA holds the sets of `datasets/real_photos.py`; only their `train` parts are used. Where the depth network misses the
subject of a composition, its maps are replaced by the truth with errors of their kind. Example i of a seed is one file,
`matte_000123.npz`:

    rgb, front, back   (H, W, 3) uint8, sRGB
    alpha              (H, W) uint8
    matte, depth       (h, w) uint8, of the network's size
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.datasets.real_photos import SETS
from deeplens_dof.depth.predict import predict_coarse
from deeplens_dof.imaging.color import linear_to_srgb
from deeplens_dof.learn.scenes.composites.subjects import SubjectSources, compose
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.models import MODELS
from deeplens_dof.runtime.atomic_write import write_atomically

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
LEAST_IOU = 0.65  # of the network's matte with the truth; below, its maps are replaced
BAND_PX = 24  # distance from the border up to which errors count most
# The shipped network at a smaller size: its maps are as coarse to these small pictures as they are to large photos.
_SMALL = replace(MODELS["depth"], long_side_px=364)


@dataclass(frozen=True)
class MatteExamples(TensorBatch):
    """A batch of (B, C, S, S): photo sRGB 0..1; coarse matte and inverse depth 0..1; true alpha and tones; the band round
    the border, 0 or 1.
    """

    rgb: Tensor
    sides: Tensor
    alpha: Tensor
    front: Tensor
    back: Tensor
    band: Tensor


def find_sources(data: Path) -> SubjectSources:
    """The training parts of the sets in a folder. Raises ValueError when it holds no photos for backgrounds."""
    masks = [
        pair
        for real in SETS.values()
        if real.near_subject
        for pair in _pairs(data / real.name / "train", "mask")
    ]
    photos = sorted((data / "photos" / "train").glob("*"))
    if not photos:
        raise ValueError(
            f"{data} holds no photos/train; link the sets with python -m deeplens_dof.datasets.real_photos"
        )
    return SubjectSources(_pairs(data / "alpha" / "train", "alpha"), masks, photos)


def _pairs(folder: Path, role: str) -> list[tuple[Path, Path]]:
    """The photos of a folder, each with its file of that role."""
    labels = {path.stem: path for path in (folder / role).glob("*")}
    photos = sorted((folder / "image").glob("*"))
    return [(photo, labels[photo.stem]) for photo in photos if photo.stem in labels]


def make_example(seed: int, index: int, sources: SubjectSources) -> dict[str, Bytes]:
    """The arrays of example `index`, by name."""
    rng = np.random.default_rng((seed, index, 91))
    while True:
        made = compose(rng, sources)
        if 0.01 < made.alpha.mean() < 0.9:
            break
    coarse = predict_coarse(made.rgb, mirrored_too=False, model=_SMALL)
    matte, depth = coarse.matte, coarse.inverse_depth
    size = depth.shape[::-1]
    truth = cv2.resize(made.alpha, size, interpolation=cv2.INTER_AREA)
    if matte is None or _iou(matte, truth) < LEAST_IOU:
        matte, depth = _with_errors(truth, rng), _drawn_depth(truth, rng)
    planes = {"alpha": made.alpha, "matte": matte, "depth": depth}
    colours = {"front": linear_to_srgb(made.front), "back": linear_to_srgb(made.back)}
    return (
        {"rgb": made.rgb}
        | colours
        | {name: np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8) for name, plane in planes.items()}
    )


def make_examples(out: Path, count: int, seed: int, sources: SubjectSources) -> None:
    """Writes the examples that are not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        path = out / f"matte_{index:06d}.npz"
        if not path.exists():
            arrays = make_example(seed, index, sources)
            write_atomically(path, partial(_save, arrays))


def _save(arrays: dict[str, Bytes], file: Any) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]


def load_examples(paths: list[Path], side: int, rng: np.random.Generator) -> MatteExamples:
    """A batch of crops of `side` px round the borders of these examples, mirrored and with coarse maps of varied errors."""
    columns: dict[str, list[Floats]] = {}
    for path in paths:
        with np.load(path) as kept:
            planes = {name: kept[name] for name in kept.files}
        for name, value in _crop(planes, side, rng).items():
            columns.setdefault(name, []).append(value)
    return MatteExamples(**{name: torch.from_numpy(np.stack(parts)) for name, parts in columns.items()})


def _crop(planes: dict[str, Bytes], side: int, rng: np.random.Generator) -> dict[str, Floats]:
    alpha = _share(planes["alpha"])
    height, width = alpha.shape
    matte, depth = (
        cv2.resize(
            _varied(planes[name], rng if name == "matte" else None),
            (width, height),
            interpolation=cv2.INTER_LINEAR,
        )
        for name in ("matte", "depth")
    )
    band = border_band(alpha)
    rows, columns = np.nonzero((band > 0) & (np.abs(alpha - 0.5) < 0.49))
    at = int(rng.integers(len(rows))) if len(rows) and rng.random() < 0.9 else -1
    middle = (rows[at], columns[at]) if at >= 0 else rng.integers(0, (height, width))
    top, left = (
        int(np.clip(int(m) - int(rng.integers(side // 4, 3 * side // 4)), 0, length - side))
        for m, length in zip(middle, (height, width), strict=True)
    )
    cut = slice(top, top + side), slice(left, left + side)
    step = -1 if rng.random() < 0.5 else 1

    def tones(name: str) -> Floats:
        part = _share(planes[name][cut][:, ::step])
        return np.ascontiguousarray(part.transpose(2, 0, 1))

    def plane(*values: Floats) -> Floats:
        return np.ascontiguousarray(np.stack([value[cut][:, ::step] for value in values]), np.float32)

    named = {"rgb": tones("rgb"), "front": tones("front"), "back": tones("back")}
    return named | {"sides": plane(matte, depth), "alpha": plane(alpha), "band": plane(band)}


def border_band(alpha: Floats, reach_px: int = BAND_PX) -> Floats:
    """1 within `reach_px` of a pixel that is neither wholly the subject nor wholly background, (H, W)."""
    mixed = ((alpha > 0.02) & (alpha < 0.98)).astype(np.uint8)
    edge = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    distance = cv2.distanceTransform(1 - np.maximum(mixed, edge), cv2.DIST_L2, 3)
    return (distance <= reach_px).astype(np.float32)


def _share(codes: Bytes) -> Floats:
    """0..1 of 8-bit codes."""
    return np.asarray(codes, np.float32) / np.float32(255)


def _varied(plane: Bytes, rng: np.random.Generator | None) -> Floats:
    """A coarse map, 0..1, with further errors: coarser, moved, grown or shrunk."""
    values = _share(plane)
    if rng is None:
        return values
    if rng.random() < 0.5:
        factor = rng.uniform(1.2, 3.5)
        small = cv2.resize(values, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        values = cv2.resize(small, values.shape[::-1], interpolation=cv2.INTER_LINEAR)
    kind, side = rng.integers(5), 2 * int(rng.integers(1, 3)) + 1
    if kind == 0:
        values = cv2.dilate(values, np.ones((side, side), np.uint8))
    if kind == 1:
        values = cv2.erode(values, np.ones((side, side), np.uint8))
    if kind == 2:
        move = np.array([[1, 0, rng.normal(0, 1.5)], [0, 1, rng.normal(0, 1.5)]])
        values = cv2.warpAffine(values, move, values.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float32)


def _with_errors(truth: Floats, rng: np.random.Generator) -> Floats:
    """A coarse matte as a network would give it: without strands, soft, its border waving."""
    rounded = cv2.GaussianBlur(truth, (0, 0), rng.uniform(1.5, 4))
    waves = cv2.resize(
        rng.normal(0, 0.12, rng.integers(6, 24, 2)).astype(np.float32),
        truth.shape[::-1],
        interpolation=cv2.INTER_CUBIC,
    )
    firm = np.clip((rounded - rng.uniform(0.3, 0.6) + waves) * rng.uniform(2, 8) + 0.5, 0, 1)
    return np.asarray(cv2.GaussianBlur(firm.astype(np.float32), (0, 0), rng.uniform(0.5, 2)), np.float32)


def _drawn_depth(truth: Floats, rng: np.random.Generator) -> Floats:
    """Coarse depth: the subject before a background with a slope."""
    far = (
        rng.uniform(0, 0.5)
        + rng.uniform(0, 0.3) * np.linspace(0, 1, truth.shape[0], dtype=np.float32)[:, None]
    )
    near = np.minimum(far.max() + rng.uniform(0.05, 0.5), 1)
    inside = cv2.GaussianBlur(_with_errors(truth, rng), (0, 0), rng.uniform(0.5, 2.5))
    return np.asarray(np.clip(far + (near - far) * inside, 0, 1), np.float32)


def _iou(one: Floats, other: Floats) -> float:
    first, second = one > 0.5, other > 0.5
    return float((first & second).sum() / max((first | second).sum(), 1))


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    sources = find_sources(chosen.data.expanduser())
    make_examples(chosen.out.expanduser(), chosen.count, chosen.seed, sources)


if __name__ == "__main__":
    main()
