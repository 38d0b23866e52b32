"""Scores of a depth map against a measured one, and of a picture against ground truth. Only numpy.

Depth: inverse depth of any scale and shift; pixels where `known` is False are left out. Pictures: as displayed (never
linear light), of one shape; `peak` is their white, 255 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
SsimWindow = Literal["gaussian", "uniform"]

MOST_DB = 100.0  # PSNR of pictures that are the same
# Neighbours whose CoC differs by more are an occlusion edge.
_OCCLUSION_STEP_PX = 1.5
# Weights along one axis, and the factor of variances.
_WINDOWS: dict[str, tuple[npt.NDArray[np.float64], float]] = {
    "gaussian": (np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2), 1.0),
    "uniform": (np.ones(7), 49 / 48),
}


@dataclass(frozen=True, slots=True)
class DepthScores:
    """spearman: rank correlation, -1..1. absolute_relative: mean |predicted - true| / true depth, after alignment.
    within_1_25: share of pixels whose depth is within a factor of 1.25 of the truth, after alignment. pixels: their
    number.
    """

    spearman: float
    absolute_relative: float
    within_1_25: float
    pixels: int


def depth_metrics(
    predicted: npt.NDArray[Any], true: npt.NDArray[Any], known: Mask | None = None
) -> DepthScores:
    """All scores of predicted against true inverse depth.

    Args:
        predicted, true: (H, W); `true` must be above 0 where it counts.
        known: bool (H, W); None is every pixel whose true value is finite and above 0.

    Raises:
        ValueError: shapes differ, or fewer than two pixels are left.
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
    """Rank correlation of two arrays of one size; ties share their mean rank. 0 when one of them is constant."""
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
    """`scale * predicted + shift` closest to `true` in least squares, the usual alignment of affine-invariant predictions.

    Values at or below 0 (at or behind infinity) become the smallest true value.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    offset, target = predicted - predicted.mean(), true - true.mean()
    spread = float((offset * offset).sum())
    scale = float((offset * target).sum()) / spread if spread > 0 else 0.0
    aligned = scale * offset + true.mean()
    return np.asarray(np.where(aligned > 0, aligned, true.min()), np.float64)


def absolute_relative(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> float:
    """AbsRel: mean of |depth - true depth| / true depth, both given as inverse depth above 0 (Eigen et al. 2014)."""
    return float(np.mean(np.abs(true / predicted - 1)))


def within_factor(predicted: npt.NDArray[Any], true: npt.NDArray[Any], factor: float = 1.25) -> float:
    """Share of pixels where predicted and true differ by less than a factor (delta < 1.25, Eigen et al. 2014)."""
    return float(np.mean(np.maximum(true / predicted, predicted / true) < factor))


def boundary_f1(predicted: npt.NDArray[Any], true: npt.NDArray[Any], known: Mask | None = None) -> float:
    """Agreement of depth borders, 0..1, as defined by Depth Pro (Bochkovskii et al. 2024, section 3.3).

    Two neighbours are a border where their depths differ by more than a factor t. F1 of predicted and true borders in
    the same direction at exactly the same pixels, weighted by t over ten values of 1.05..1.25.

    Args:
        predicted: (H, W) inverse depth, already aligned.
        true: (H, W) inverse depth.
        known: bool (H, W); None is every pixel whose true value is finite and above 0.
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
    """Where a pixel is nearer than its neighbour to the right, left, below and above by more than a factor."""
    v, k = np.where(known, values, 1.0), known
    across, down = k[:, 1:] & k[:, :-1], k[1:] & k[:-1]
    return [
        (v[:, :-1] > factor * v[:, 1:]) & across,
        (v[:, 1:] > factor * v[:, :-1]) & across,
        (v[:-1] > factor * v[1:]) & down,
        (v[1:] > factor * v[:-1]) & down,
    ]


def psnr(a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float, where: Mask | None = None) -> float:
    """PSNR in dB, at most MOST_DB, over all values or the marked pixels (H, W); NaN when none is marked."""
    _check_shapes(a, b)
    error = ((a.astype(np.float64) - b) / peak) ** 2
    chosen = error if where is None else error[where]
    if not chosen.size:
        return float("nan")
    return float(-10 * np.log10(max(float(chosen.mean()), 10 ** (-MOST_DB / 10))))


def rmse(a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float) -> float:
    """Root mean squared difference over all values, as a fraction of the peak."""
    _check_shapes(a, b)
    return float(np.sqrt((((a.astype(np.float64) - b) / peak) ** 2).mean()))


def ssim(a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float, window: SsimWindow = "gaussian") -> float:
    """Mean of `ssim_map` over channels and the pixels whose whole window lies inside the picture."""
    radius = len(_WINDOWS[window][0]) // 2
    if min(a.shape[:2]) <= 2 * radius:
        raise ValueError(
            f"the picture has {a.shape[1]} x {a.shape[0]} pixels, expected at least {2 * radius + 1} a side for SSIM"
        )
    return float(ssim_map(a, b, peak, window)[radius:-radius, radius:-radius].mean())


def ssim_map(
    a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float, window: SsimWindow = "gaussian"
) -> npt.NDArray[np.float64]:
    """Structural similarity of every pixel and channel, (H, W, C), with mirrored borders.

    gaussian: 11 pixels, sigma 1.5 (Wang et al. 2004). uniform: 7 pixels, sample variances.
    """
    _check_shapes(a, b)
    weights, correction = _WINDOWS[window]
    weights = weights / weights.sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similarity = np.empty(a.shape, np.float64)
    for channel in range(a.shape[2]):
        x, y = a[..., channel].astype(np.float64), b[..., channel].astype(np.float64)
        mean_x, mean_y = _smoothed(x, weights), _smoothed(y, weights)
        spread_x = correction * (_smoothed(x * x, weights) - mean_x * mean_x)
        spread_y = correction * (_smoothed(y * y, weights) - mean_y * mean_y)
        shared = correction * (_smoothed(x * y, weights) - mean_x * mean_y)
        similarity[..., channel] = ((2 * mean_x * mean_y + c1) * (2 * shared + c2)) / (
            (mean_x * mean_x + mean_y * mean_y + c1) * (spread_x + spread_y + c2)
        )
    return similarity


def edge_band(coc_px: npt.NDArray[Any]) -> Mask:
    """Pixels within the circle of confusion of an occlusion edge, (H, W), up to 32 px from it."""
    highest, lowest = maximum_filter(coc_px, 1), -maximum_filter(-coc_px, 1)
    edges = highest - lowest > _OCCLUSION_STEP_PX
    radius = np.where(edges, maximum_filter(np.abs(coc_px), 1), 0)
    band = np.zeros(edges.shape, np.bool_)
    for low, high in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 18), (18, 26), (26, 99)):
        reach = (radius > low) & (radius <= high)
        if reach.any():
            band |= maximum_filter(reach, min(high, 32))
    return band


def maximum_filter(values: npt.NDArray[Any], radius: int) -> npt.NDArray[Any]:
    """Maximum over the square of 2 radius + 1 pixels around every pixel, cropped at the border."""
    size = 2 * radius + 1
    lowest: Any = False if values.dtype == np.bool_ else -np.inf
    for axis in (0, 1):
        count = values.shape[axis]
        margin = [(radius, radius) if axis == other else (0, 0) for other in (0, 1)]
        swept = np.moveaxis(np.pad(values, margin, constant_values=lowest), axis, 0)
        span = 1  # pixels that a value of `swept` stands for
        while 2 * span <= size:
            swept = np.maximum(swept[:-span], swept[span:])
            span *= 2
        values = np.moveaxis(np.maximum(swept[:count], swept[size - span :][:count]), 0, axis)
    return values


def _smoothed(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    radius = len(weights) // 2
    for axis in (0, 1):
        margin = [(radius, radius) if axis == other else (0, 0) for other in (0, 1)]
        padded = np.moveaxis(np.pad(values, margin, mode="symmetric"), axis, 0)
        total = np.zeros_like(padded[: len(padded) - 2 * radius])
        for place, weight in enumerate(weights):
            total += weight * padded[place : place + len(total)]
        values = np.moveaxis(total, 0, axis)
    return values


def _check_shapes(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    if a.shape != b.shape:
        raise ValueError(f"the picture has shape {a.shape} and the true one {b.shape}, expected one shape")
