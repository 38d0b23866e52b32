"""A predicted matte against that of a teacher or a drawn one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LONG_SIDE_PX = 640  # at which mattes are compared: the sum of differences grows with the picture


@dataclass(frozen=True, slots=True)
class MatteScores:
    """iou: of values above 0.5, 0..1; 1 when both are empty. sad: sum of absolute differences, in thousands of pixels.
    mean_difference: the same per pixel.
    """

    iou: float
    sad: float
    mean_difference: float


def matte_scores(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> MatteScores:
    """Scores of two mattes 0..1 (H, W). Raises ValueError when shapes differ."""
    if predicted.shape != true.shape:
        raise ValueError(f"the mattes have shapes {predicted.shape} and {true.shape}; resize one first")
    ours, truth = predicted > 0.5, true > 0.5
    union = int((ours | truth).sum())
    difference = np.abs(np.asarray(predicted, np.float64) - np.asarray(true, np.float64))
    return MatteScores(
        float((ours & truth).sum() / union) if union else 1.0,
        float(difference.sum() / 1000),
        float(difference.mean()),
    )


@dataclass(frozen=True, slots=True)
class BandScores:
    """Scores in the open band of a trimap (Rhemann et al., CVPR 2009).

    sad: sum of absolute differences, in thousands. mse: mean square error, in thousandths. gradient: sum of squared
    differences of the gradients' lengths, in thousands. mean_difference: of a pixel, 0..1.
    """

    sad: float
    mse: float
    gradient: float
    mean_difference: float


def band_scores(
    predicted: npt.NDArray[Any], true: npt.NDArray[Any], band: npt.NDArray[np.bool_]
) -> BandScores:
    """Scores of a matte 0..1 (H, W) in a band (H, W). Raises ValueError when shapes differ, or the band is empty."""
    if not predicted.shape == true.shape == band.shape or not band.any():
        raise ValueError(
            f"the mattes have shapes {predicted.shape} and {true.shape}, the band {band.shape} with {int(band.sum())} "
            "pixels; expected one shape, and at least one pixel in the band"
        )
    ours, truth = (np.asarray(matte, np.float64) for matte in (predicted, true))
    difference = (ours - truth)[band]
    slopes = (_slope(ours) - _slope(truth))[band]
    return BandScores(
        float(np.abs(difference).sum() / 1000),
        float(np.square(difference).mean() * 1000),
        float(np.square(slopes).sum() / 1000),
        float(np.abs(difference).mean()),
    )


def _slope(matte: npt.NDArray[Any], sigma: float = 1.4) -> npt.NDArray[Any]:
    """The length of the gradient (H, W), by derivatives of a Gaussian; the border is repeated."""
    reach = int(np.ceil(3 * sigma))
    x = np.arange(-reach, reach + 1)
    smooth = np.exp(-0.5 * np.square(x / sigma))
    smooth /= smooth.sum()
    derived = -x / sigma**2 * smooth

    def along(values: npt.NDArray[Any], kernel: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        width = [(reach, reach) if number == axis else (0, 0) for number in range(2)]
        padded = np.pad(values, width, mode="edge")
        return np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")

    across, down = along(along(matte, derived, 1), smooth, 0), along(along(matte, smooth, 1), derived, 0)
    return np.asarray(np.hypot(across, down))


def is_one_clear_subject(matte: npt.NDArray[Any]) -> bool:
    """Whether the teacher is certain: few intermediate values, and neither an empty nor a full matte."""
    unsure = float(((matte > 0.15) & (matte < 0.85)).mean())
    return unsure < 0.08 and 0.02 < float((matte > 0.5).mean()) < 0.8
