"""How far the matte is from true alpha, in the band that a trimap leaves open: hair, fur, leaves.

    python benchmarks/mattes.py FOLDER [--only held_out] [--model DEPTH.onnx] [--matte MATTE.onnx] [--library cf knn lbdm]

FOLDER holds image/NAME.png, trimap/NAME.png (0 background, 255 subject, open between) and alpha/NAME.png, as
alphamatting.com gives them. In the open band of each photo, by that site's protocol (Rhemann et al. 2009): SAD (sum of
absolute differences, thousands), MSE (thousandths), gradient error (thousands, Gaussian derivatives of 1.4 px); and the mean
absolute difference. IoU of the whole above 0.5.

Methods: the matte as it ships; the depth network's own matte, enlarged, and by a guided filter; a matte that says 0.5 in the
band, below which a guess is worth something. --library: closed-form, KNN and learning-based matting of pymatting
(pip install pymatting), which are given the true trimap that our own methods do not see, and which take minutes a photo.
--only held_out leaves out the photos that training may use (`datasets/real_photos.py`).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from deeplens_dof.datasets.real_photos import part_of
from deeplens_dof.depth.predict import Coarse, full_matte, predict_coarse
from deeplens_dof.depth.soft_matte import soft_matte
from deeplens_dof.evaluate.depth.matte import band_scores, matte_scores
from deeplens_dof.imaging.resize import resize, resize_picture
from deeplens_dof.models import MODELS, Model, candidate

LONGEST_PX = 1024
LIBRARY = ("cf", "knn", "lbdm")


class Photo(NamedTuple):
    """rgb: (H, W, 3) sRGB uint8. band: (H, W), the open part of the trimap. trimap, alpha: (H, W), 0..1."""

    rgb: np.ndarray
    band: np.ndarray
    trimap: np.ndarray
    alpha: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("train", "held_out"), help="that part of the photos alone")
    parser.add_argument(
        "--model", type=Path, help="an ONNX depth network; without it, the one that is shipped"
    )
    parser.add_argument(
        "--matte", type=Path, help="an ONNX matte network; without it, the one that is shipped"
    )
    parser.add_argument("--library", nargs="*", choices=LIBRARY, default=(), help="methods of pymatting")
    arguments = parser.parse_args()
    depth = candidate(arguments.model) if arguments.model else MODELS["depth"]
    refinement = candidate(arguments.matte, "matte") if arguments.matte else MODELS["matte"]
    methods = our_methods(refinement)
    paths = sorted((arguments.folder / "image").iterdir())
    parts = part_of("alpha", [path.stem for path in paths])
    if arguments.only:
        paths = [path for path in paths if parts[path.stem] == arguments.only]
    print("| photo | method | mean difference | SAD | MSE | gradient | IoU |\n|---|---|---|---|---|---|---|")
    rows: dict[str, list[tuple[float, ...]]] = {}
    for path in paths:
        photo = read(arguments.folder, path)
        coarse = predict_coarse(photo.rgb, model=depth)
        found = {name: method(photo, coarse) for name, method in methods.items()}
        found |= {f"pymatting {name}": by_library(name, photo) for name in arguments.library}
        for name, matte in found.items():
            scores = band_scores(matte, photo.alpha, photo.band)
            iou = matte_scores(matte, photo.alpha).iou
            rows.setdefault(name, []).append(
                (scores.mean_difference, scores.sad, scores.mse, scores.gradient, iou)
            )
            print(_row(path.stem, name, rows[name][-1]), flush=True)
    for name, values in rows.items():
        print(
            _row(
                f"mean of {len(values)}",
                name,
                [statistics.fmean(column) for column in zip(*values, strict=True)],
            )
        )


def our_methods(refinement: Model) -> dict[str, Callable[[Photo, Coarse], np.ndarray]]:
    """Our ways to a matte at the photo's size, by name."""

    def own(coarse: Coarse) -> np.ndarray:
        if coarse.matte is None:
            raise SystemExit("the depth network gives no matte, so that none can be scored")
        return coarse.matte

    return {
        "two halves": lambda photo, _: np.where(photo.band, 0.5, photo.trimap).astype(np.float32),
        "coarse": lambda photo, coarse: resize(own(coarse), *photo.alpha.shape),
        "coarse, guided filter": lambda photo, coarse: full_matte(own(coarse), photo.rgb),
        "as it ships": lambda photo, coarse: soft_matte(
            own(coarse), coarse.inverse_depth, photo.rgb, model=refinement
        ),
    }


def by_library(name: str, photo: Photo) -> np.ndarray:
    """The matte of a method of pymatting, from the true trimap."""
    import pymatting

    method = {
        "cf": pymatting.estimate_alpha_cf,
        "knn": pymatting.estimate_alpha_knn,
        "lbdm": pymatting.estimate_alpha_lbdm,
    }[name]
    return np.asarray(method(photo.rgb.astype(np.float64) / 255, photo.trimap.astype(np.float64)), np.float32)


def read(folder: Path, path: Path) -> Photo:
    """A photo of at most LONGEST_PX with its trimap and alpha."""
    rgb = _read(path, "RGB")
    trimap, alpha = (_read(folder / role / f"{path.stem}.png", "L") for role in ("trimap", "alpha"))
    band = (trimap > 0) & (trimap < 255)
    known = np.where(band, np.float32(0.5), (trimap == 255).astype(np.float32))
    return Photo(rgb, band, known, alpha.astype(np.float32) / 255)


def _row(photo: str, method: str, values: list[float] | tuple[float, ...]) -> str:
    mean, sad, mse, gradient, iou = values
    return f"| {photo} | {method} | {mean:.3f} | {sad:.2f} | {mse:.1f} | {gradient:.2f} | {iou:.3f} |"


def _read(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert(mode))
    scale = min(1.0, LONGEST_PX / max(pixels.shape[:2]))
    size = round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)
    if size == pixels.shape[:2]:
        return pixels
    if mode == "RGB":
        return resize_picture(np.ascontiguousarray(pixels), *size)
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.NEAREST))


if __name__ == "__main__":
    main()
