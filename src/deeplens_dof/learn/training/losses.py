"""Losses for inverse depth that is known up to scale and shift, and for mattes.

Pure functions on (B, H, W) float tensors; `weight`, (B,) or (B, H, W), is 0 where a sample or a pixel has no label. No depth
loss changes when a prediction is shifted, or multiplied by a positive number.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# The range of the normalised target: one very near object must not dominate a whole frame.
FARTHEST, NEAREST = -4.0, 8.0
SCALES = 4


class Rows(NamedTuple):
    """One process's part of a batch of `of` samples: first, first + step, ..."""

    first: int
    step: int
    of: int


def normalised(inverse_depth: Tensor, known: Tensor | None = None) -> Tensor:
    """(x - median) / mean absolute deviation of each sample (MiDaS, Ranftl et al. 2020, eq. 5).

    known: (B, H, W), above 0 in the pixels that define median and deviation; None: all do.
    """
    if known is not None:
        return _normalised_where(inverse_depth, known > 0)
    flat = inverse_depth.flatten(1)
    centre = flat.median(1, keepdim=True).values
    spread = (flat - centre).abs().mean(1, keepdim=True).clamp(min=1e-6)
    return ((flat - centre) / spread).view_as(inverse_depth)


def normalised_target(inverse_depth: Tensor, known: Tensor | None = None) -> Tensor:
    """The label in the same units, clamped to FARTHEST..NEAREST."""
    return normalised(inverse_depth, known).clamp(FARTHEST, NEAREST)


def _normalised_where(inverse_depth: Tensor, known: Tensor) -> Tensor:
    """`normalised` by the known pixels alone; a sample without any becomes 0."""
    samples = []
    for values, counts in zip(inverse_depth, known, strict=True):
        labelled = values[counts]
        if not len(labelled):
            samples.append(values * 0)
            continue
        centre = labelled.median()
        samples.append((values - centre) / (labelled - centre).abs().mean().clamp(min=1e-6))
    return torch.stack(samples)


def per_sample(weight: Tensor) -> Tensor:
    """The weight of each sample (B,), from one per sample or per pixel (1 where any pixel is labelled)."""
    return weight if weight.dim() == 1 else (weight.flatten(1) > 0).any(1).to(weight.dtype)


def absolute(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The mean absolute difference of two normalised maps."""
    if weight.dim() > 1:
        return _mean(_where_known((predicted - target).abs(), weight), per_sample(weight))
    return _mean((predicted - target).abs().mean((1, 2)), weight)


def gradient(predicted: Tensor, target: Tensor, weight: Tensor, border_weight: float = 0.0) -> Tensor:
    """The mean difference of gradients at four scales (MegaDepth, Li and Snavely 2018, eq. 4), of normalised maps.

    border_weight: extra weight of the finest scale at the target's steps, which makes borders sharp.
    """
    total = predicted.new_zeros(())
    pixels = weight if weight.dim() > 1 else None
    for scale in range(SCALES):
        step = 2**scale
        error = (predicted - target)[:, ::step, ::step]
        across, down = (error[:, :, 1:] - error[:, :, :-1]).abs(), (error[:, 1:] - error[:, :-1]).abs()
        if scale == 0 and border_weight > 0:
            across = across * (1 + border_weight * _step(target[:, :, 1:] - target[:, :, :-1]))
            down = down * (1 + border_weight * _step(target[:, 1:] - target[:, :-1]))
        if pixels is None:
            total = total + _mean(across.mean((1, 2)) + down.mean((1, 2)), weight)
        else:  # a difference counts where both ends are labelled
            k = pixels[:, ::step, ::step]
            one, other = k[:, :, 1:] * k[:, :, :-1], k[:, 1:] * k[:, :-1]
            total = total + _mean(_where_known(across, one) + _where_known(down, other), per_sample(weight))
    return total


def ordinal(
    predicted: Tensor,
    target: Tensor,
    weight: Tensor,
    generator: torch.Generator,
    pairs: int = 2000,
    margin: float = 0.05,
    rows: Rows | None = None,
) -> Tensor:
    """Ranking loss on random pairs of pixels (Chen et al. 2016, without their equality term).

    log(1 + exp(-s d)), s the sign of the target's difference, d the prediction's. Unlike the other losses, it weights far
    objects as much as near ones.

    Args:
        predicted: (B, H, W), normalised.
        target: (B, H, W), normalised.
        weight: (B,) or (B, H, W).
        generator: draws the pairs.
        pairs: per sample.
        margin: pairs closer than this in normalised inverse depth are left out.
        rows: the place of these samples in a larger batch, whose pairs they get.
    """
    batch = len(predicted)
    flat, label = predicted.flatten(1), target.flatten(1)
    drawn = batch if rows is None else rows.of
    chosen = torch.randint(flat.shape[1], (drawn, 2, pairs), generator=generator)
    chosen = (chosen if rows is None else chosen[rows.first :: rows.step]).to(flat.device)
    if weight.dim() > 1:
        chosen = _among_known(chosen, weight.flatten(1) > 0)
    difference = flat.gather(1, chosen[:, 0]) - flat.gather(1, chosen[:, 1])
    truth = label.gather(1, chosen[:, 0]) - label.gather(1, chosen[:, 1])
    counts = (truth.abs() > margin).to(flat.dtype)
    loss = F.softplus(-4 * difference * truth.sign()) * counts
    return _mean(loss.sum(1) / counts.sum(1).clamp(min=1), per_sample(weight))


def _among_known(chosen: Tensor, known: Tensor) -> Tensor:
    """The draws, moved to labelled pixels; a sample without any keeps its draws, and has no weight."""
    found = []
    for draws, counts in zip(chosen, known, strict=True):
        places = counts.nonzero().squeeze(1)
        found.append(places[draws % len(places)] if len(places) else draws)
    return torch.stack(found)


def matte(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross entropy plus 1 - soft intersection over union. target: (B, H, W), 0..1. weight: (B,)."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
    alpha = torch.sigmoid(logits)
    both = (alpha * target).sum((1, 2))
    union = (alpha + target - alpha * target).sum((1, 2)).clamp(min=1e-6)
    return _mean(entropy + 1 - both / union, weight)


def _step(difference: Tensor) -> Tensor:
    """1 where a normalised target jumps, 0 where it is smooth."""
    return (difference.abs() > 0.15).to(difference.dtype)


def _where_known(values: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of each sample, (B,); values without weight may be anything."""
    counted = torch.where(weight > 0, values * weight, torch.zeros_like(values))
    return counted.sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-6)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)
