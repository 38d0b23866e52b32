"""Scores of a depth map against a measured one. Only numpy.

All take inverse depth of any scale and shift; pixels where `known` is False are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DepthScores:
    """spearman: rank correlation, -1..1. absolute_relative: mean |predicted - true| / true depth, after
    alignment. within_1_25: share of pixels whose depth is within a factor 1.25 of the truth, after alignment.
    pixels: how many."""

    spearman: float
    absolute_relative: float
    within_1_25: float
    pixels: int


def depth_metrics(
    predicted: npt.NDArray[Any], true: npt.NDArray[Any], known: Mask | None = None
) -> DepthScores:
    """All scores of predicted against true inverse depth, both (H, W); true must be above 0 where it counts.

    known: bool (H, W); by default every pixel whose true value is finite and above 0. Raises ValueError when
    shapes differ or fewer than two pixels are left.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape:
        raise ValueError(
            f"the predicted depth has shape {predicted.shape} and the true one {true.shape}; resize one first"
        )
    usable = np.isfinite(predicted) & np.isfinite(true) & (true > 0)
    if known is not None:
        usable &= known
    if int(usable.sum()) < 2:
        raise ValueError(f"only {int(usable.sum())} pixels have a known depth above 0; expected at least two")
    values, truth = predicted[usable], true[usable]
    aligned = aligned_inverse_depth(values, truth)
    return DepthScores(
        spearman(values, truth),
        absolute_relative(aligned, truth),
        within_factor(aligned, truth),
        int(usable.sum()),
    )


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Rank correlation of two arrays of one size; ties share their mean rank. 0 when one of them is
    constant."""
    x, y = (ranks(np.ravel(v)) for v in (a, b))
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / norm) if norm > 0 else 0.0


def ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rank of every value of a 1-D array, from 0; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count + 1) / 2.0)[place].astype(np.float64)


def aligned_inverse_depth(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """`scale * predicted + shift` nearest to `true` in least squares: what an affine-invariant prediction is
    worth.

    A value at or below 0 (at or behind infinity) becomes the smallest true value.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    offset, target = predicted - predicted.mean(), true - true.mean()
    spread = float((offset * offset).sum())
    scale = float((offset * target).sum()) / spread if spread > 0 else 0.0
    aligned = scale * offset + true.mean()
    return np.asarray(np.where(aligned > 0, aligned, true.min()), np.float64)


def absolute_relative(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> float:
    """AbsRel: mean of |depth - true depth| / true depth, both given as inverse depth above 0 (Eigen et al.
    2014)."""
    return float(np.mean(np.abs(true / predicted - 1)))


def within_factor(predicted: npt.NDArray[Any], true: npt.NDArray[Any], factor: float = 1.25) -> float:
    """Share of pixels where predicted and true differ by less than that factor (delta < 1.25, Eigen et al.
    2014)."""
    return float(np.mean(np.maximum(true / predicted, predicted / true) < factor))


def boundary_f1(predicted: npt.NDArray[Any], true: npt.NDArray[Any], known: Mask | None = None) -> float:
    """Agreement of depth borders, 0..1, as Depth Pro measures it (Bochkovskii et al. 2024, section 3.3).

    Two neighbours are a border where their depths differ by more than a factor t; F1 of predicted and true
    borders, of the same direction and at exactly the same pixels, weighted by t over ten values of
    1.05..1.25. predicted: (H, W) inverse depth already aligned; known: bool (H, W), by default where true is
    finite and above 0.
    """
    usable = np.isfinite(true) & (true > 0) if known is None else known
    factors = np.linspace(1.05, 1.25, 10)
    weights = factors / factors.sum()
    scores = [_boundary_f1(np.asarray(predicted), np.asarray(true), usable, float(t)) for t in factors]
    return float(np.dot(weights, scores))


def _boundary_f1(predicted: npt.NDArray[Any], true: npt.NDArray[Any], known: Mask, factor: float) -> float:
    precision = recall = 0.0
    for found, wanted in zip(_borders(predicted, known, factor), _borders(true, known, factor), strict=True):
        agreed = int((found & wanted).sum())
        precision += 0.25 * agreed / max(1, int(found.sum()))
        recall += 0.25 * agreed / max(1, int(wanted.sum()))
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _borders(values: npt.NDArray[Any], known: Mask, factor: float) -> list[Mask]:
    """Where a pixel is nearer than its neighbour to the right, left, below, above by more than that
    factor."""
    v, k = np.where(known, values, 1.0), known
    across, down = k[:, 1:] & k[:, :-1], k[1:] & k[:-1]
    return [
        (v[:, :-1] > factor * v[:, 1:]) & across,
        (v[:, 1:] > factor * v[:, :-1]) & across,
        (v[:-1] > factor * v[1:]) & down,
        (v[1:] > factor * v[:-1]) & down,
    ]
