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


def is_one_clear_subject(matte: npt.NDArray[Any]) -> bool:
    """Whether the teacher is certain: few intermediate values, and neither an empty nor a full matte."""
    unsure = float(((matte > 0.15) & (matte < 0.85)).mean())
    return unsure < 0.08 and 0.02 < float((matte > 0.5).mean()) < 0.8
