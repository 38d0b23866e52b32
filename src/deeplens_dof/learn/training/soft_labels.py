"""Labels of measured depth are soft: sensors blur depth steps over some pixels, and files store coarse codes.

`firm` and `tolerance` give the reliable gradients and the possible error of a sample; `tolerant` is a target for a batch that
ignores errors within this tolerance.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.datasets.sample import Sample

Map = npt.NDArray[np.float32]
STEP_WINDOW = 5  # px within which depth changes at a step
STEP_SHARE = 0.13  # of the larger inverse depth
RELATIVE_STEP = 0.05  # of the spread of relative inverse depth
MOST_CODES = 4096  # a map with more values is not coarse


def firm(one: Sample, radius_px: int) -> Map:
    """The pixels in which gradients of the label are reliable: labelled, and away from its steps.

    Args:
        one: a sample with depth.
        radius_px: the distance from a step up to which the label may be wrong, in px of the label.

    Returns:
        float32 (H, W), 0 or 1.
    """
    values, window = one.inverse_depth, np.ones((STEP_WINDOW, STEP_WINDOW), np.uint8)
    known = one.known.astype(np.uint8)
    highest = cv2.dilate(np.where(one.known, values, np.float32(-np.inf)), window)
    lowest = cv2.erode(np.where(one.known, values, np.float32(np.inf)), window)
    if one.unit == "relative":
        some = values[one.known] if one.known.any() else np.zeros(1, np.float32)
        threshold = RELATIVE_STEP * float(np.subtract(*np.percentile(some, (98, 2))))
        step = highest - lowest > max(threshold, 1e-9)
    else:
        step = highest - lowest > STEP_SHARE * highest
    side = 2 * radius_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    near_step = cv2.dilate((step & one.known).astype(np.uint8), disc)
    return (known * (1 - near_step)).astype(np.float32)


def tolerance(one: Sample) -> Map:
    """Half the distance between the stored codes of a label, as inverse depth, float32 (H, W); 0 where they are fine.

    Codes are assumed to be evenly spaced in depth where its unit is known, in inverse depth where it is relative.
    """
    values = one.inverse_depth
    stored = values[one.known & (values > 0)]
    codes = np.unique(np.round(stored if one.unit == "relative" else np.float32(1) / stored, 4))
    if not 2 <= len(codes) <= MOST_CODES:
        return np.zeros_like(values)
    half = np.float32(np.median(np.diff(codes)) / 2)
    return np.full_like(values, half) if one.unit == "relative" else half * values * values


def tolerant(predicted: Tensor, target: Tensor, tolerance: Tensor) -> Tensor:
    """The target, moved towards the prediction by up to the tolerance, so that a smaller difference costs nothing.

    All (B, H, W), normalised. No gradient passes through the result.
    """
    return torch.minimum(torch.maximum(predicted.detach(), target - tolerance), target + tolerance)


def spread(inverse_depth: Tensor, known: Tensor) -> Tensor:
    """The divisor of each sample in `losses.normalised`, (B, 1, 1); 1 for a sample without labels."""
    found = []
    for values, counts in zip(inverse_depth, known > 0, strict=True):
        labelled = values[counts]
        none = values.new_ones(())
        found.append((labelled - labelled.median()).abs().mean().clamp(min=1e-6) if len(labelled) else none)
    return torch.stack(found)[:, None, None]
