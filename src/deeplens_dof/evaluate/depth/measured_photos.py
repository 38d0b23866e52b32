"""Depth against measured depth: three real photos, none of them used for training.

`tools/data/fetch_evaluation_data.py` fetches them; `benchmarks/depth.py` prints the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.evaluate.metrics import aligned_inverse_depth, boundary_f1, depth_metrics, spearman
from deeplens_dof.imaging.resize import resize, resize_picture
from deeplens_dof.photo import read
from deeplens_dof.photo.codecs.samples import read_samples

CACHE = cache_folder() / "evaluation"
# Disparity of infinity is minus this (Middlebury 2014, calib.txt at a quarter size).
_MOTORCYCLE_OFFSET_PX = 31.086

Picture = npt.NDArray[np.uint8]
Predictor = Callable[[Picture], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class DepthSet:
    """A photo (H, W, 3) sRGB uint8 with its measured inverse depth (h, w), NaN where unknown.

    ratios_known: inverse depth is known up to scale, so relative errors are meaningful; otherwise only its order counts.
    subject: matte 0..1 (h, w), or None.
    """

    name: str
    rgb: Picture
    inverse_depth: npt.NDArray[np.float64]
    ratios_known: bool
    subject: npt.NDArray[np.float32] | None = None


def holds_sets(folder: Path) -> bool:
    """Whether any of the photos is in the folder."""
    return any((folder / name).is_file() for name in ("motorcycle_left.png", "aloeL.jpg", "pug.heic"))


def load_sets(folder: Path = CACHE) -> list[DepthSet]:
    """The photos in the folder: motorcycle and aloe, and the dog where pillow-heif is installed.

    Raises FileNotFoundError when there is none.
    """
    readers = (_motorcycle, _aloe, _dog)
    found = [item for item in (reader(folder) for reader in readers) if item is not None]
    if not found:
        raise FileNotFoundError(
            f"no evaluation data in {folder}; run tools/data/fetch_evaluation_data.py first"
        )
    return found


def score_set(item: DepthSet, predict: Predictor) -> dict[str, Any]:
    """Scores of one predictor on one photo; the prediction is resized to the ground truth by area.

    Rank correlation includes pixels at infinity (0), relative errors exclude them.
    """
    truth = item.inverse_depth
    height, width = truth.shape
    picture = item.rgb if item.rgb.shape[:2] == truth.shape else resize_picture(item.rgb, height, width)
    values = resize(np.asarray(predict(picture), np.float32), height, width)
    known = np.isfinite(truth)
    if not item.ratios_known:
        return {"spearman": spearman(values[known], truth[known]), "pixels": int(known.sum())}
    scores = asdict(depth_metrics(values, truth, known)) | {"spearman": spearman(values[known], truth[known])}
    aligned = np.full(truth.shape, np.nan)
    aligned[known] = aligned_inverse_depth(values[known], truth[known])
    return scores | {"boundary_f1": boundary_f1(aligned, truth, known)}


def vertical_position(rgb: Picture) -> npt.NDArray[np.float32]:
    """The guess that needs no network: lower in the picture is nearer."""
    height, width = rgb.shape[:2]
    return np.repeat(((np.arange(height, dtype=np.float32) + 1) / height)[:, None], width, axis=1)


def _motorcycle(folder: Path) -> DepthSet | None:
    """Middlebury 2014, quarter size (Scharstein et al., GCPR 2014)."""
    picture, truth = folder / "motorcycle_left.png", folder / "motorcycle_disp.npz"
    if not (picture.is_file() and truth.is_file()):
        return None
    with np.load(truth, allow_pickle=False) as arrays:
        disparity = np.asarray(arrays[arrays.files[0]], np.float64)
    known = np.isfinite(disparity) & (disparity > 0)
    return DepthSet(
        "motorcycle", read(picture).srgb8(), np.where(known, disparity + _MOTORCYCLE_OFFSET_PX, np.nan), True
    )


def _aloe(folder: Path) -> DepthSet | None:
    """Middlebury 2006, full size (Hirschmueller and Scharstein, CVPR 2007); disparity as given, 0 is unknown."""
    picture, truth = folder / "aloeL.jpg", folder / "aloeGT.png"
    if not (picture.is_file() and truth.is_file()):
        return None
    disparity = read_samples(truth).values[..., 0].astype(np.float64)
    return DepthSet("aloe", read(picture).srgb8(), np.where(disparity > 0, disparity, np.nan), True)


def _dog(folder: Path) -> DepthSet | None:
    """A phone's portrait photo with the disparity of its two lenses: the order is measured, the scale is not."""
    picture = folder / "pug.heic"
    if not (picture.is_file() and find_spec("pillow_heif")):
        return None
    photo = read(picture)
    if photo.depth is None:
        raise ValueError(photo.depth_problem or f"{picture} holds no depth; fetch it again")
    disparity = photo.depth.inverse_depth.values.astype(np.float64)
    # Codes without colour conversion, as for the scores in docs/depth.md.
    return DepthSet("dog", photo.pixels, disparity, False)
