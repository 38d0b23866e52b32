"""Losses for inverse depth that is known up to scale and shift, and for mattes.

Pure functions on (B, H, W) float tensors; `weight` (B,) or (B, H, W) is 0 where a sample or a pixel has no
label. A prediction may be multiplied by any positive number and shifted by any other: no depth loss here
changes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FARTHEST, NEAREST = (
    -4.0,
    8.0,
)  # clamp of the normalised target: one very near thing must not rule a whole frame
SCALES = 4


def normalised(inverse_depth: Tensor) -> Tensor:
    """(x - median) / mean absolute deviation of each sample (MiDaS, Ranftl et al. 2020, eq. 5)."""
    flat = inverse_depth.flatten(1)
    centre = flat.median(1, keepdim=True).values
    spread = (flat - centre).abs().mean(1, keepdim=True).clamp(min=1e-6)
    return ((flat - centre) / spread).view_as(inverse_depth)


def normalised_target(inverse_depth: Tensor) -> Tensor:
    """The label in the same units, clamped to FARTHEST..NEAREST."""
    return normalised(inverse_depth).clamp(FARTHEST, NEAREST)


def absolute(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of two normalised maps, samples weighted by `weight` (B,)."""
    return _mean((predicted - target).abs().mean((1, 2)), weight)


def gradient(predicted: Tensor, target: Tensor, weight: Tensor, border_weight: float = 0.0) -> Tensor:
    """Mean difference of the gradients at four scales (MegaDepth, Li and Snavely 2018, eq. 4), maps
    normalised.

    border_weight: how much more the finest scale counts where the target has a step, so that borders become
    sharp.
    """
    total = predicted.new_zeros(())
    for scale in range(SCALES):
        step = 2**scale
        error = (predicted - target)[:, ::step, ::step]
        across, down = (error[:, :, 1:] - error[:, :, :-1]).abs(), (error[:, 1:] - error[:, :-1]).abs()
        if scale == 0 and border_weight > 0:
            across = across * (1 + border_weight * _step(target[:, :, 1:] - target[:, :, :-1]))
            down = down * (1 + border_weight * _step(target[:, 1:] - target[:, :-1]))
        total = total + _mean(across.mean((1, 2)) + down.mean((1, 2)), weight)
    return total


def ordinal(
    predicted: Tensor,
    target: Tensor,
    weight: Tensor,
    generator: torch.Generator,
    pairs: int = 2000,
    margin: float = 0.05,
) -> Tensor:
    """Ranking loss on random pairs of pixels: log(1 + exp(-s d)), s the sign of the target's difference, d
    the prediction's.

    Pairs closer than `margin` of normalised inverse depth are left out (Chen et al. 2016, without their
    equality term). It counts far things as much as near ones, which the other losses do not. Maps normalised.
    """
    batch = len(predicted)
    flat, label = predicted.flatten(1), target.flatten(1)
    chosen = torch.randint(flat.shape[1], (batch, 2, pairs), generator=generator).to(flat.device)
    difference = flat.gather(1, chosen[:, 0]) - flat.gather(1, chosen[:, 1])
    truth = label.gather(1, chosen[:, 0]) - label.gather(1, chosen[:, 1])
    counts = (truth.abs() > margin).to(flat.dtype)
    loss = F.softplus(-4 * difference * truth.sign()) * counts
    return _mean(loss.sum(1) / counts.sum(1).clamp(min=1), weight)


def matte(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross entropy plus 1 - soft intersection over union. target: 0..1, weight: (B,)."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
    alpha = torch.sigmoid(logits)
    both = (alpha * target).sum((1, 2))
    union = (alpha + target - alpha * target).sum((1, 2)).clamp(min=1e-6)
    return _mean(entropy + 1 - both / union, weight)


def _step(difference: Tensor) -> Tensor:
    """1 where a normalised target jumps, 0 where it is smooth."""
    return (difference.abs() > 0.15).to(difference.dtype)


def _mean(per_sample: Tensor, weight: Tensor) -> Tensor:
    return (per_sample * weight).sum() / weight.sum().clamp(min=1e-6)
