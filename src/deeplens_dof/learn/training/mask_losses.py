"""Depth losses from the mask of a near subject: it is nearer than its surroundings, and the depth step lies on its border.

Pure functions on (B, H, W) float tensors: normalised inverse depth (`losses.normalised`) and masks 0..1. Only bands along the
mask's border count. Where the border faces down it is ignored, because there a subject stands on ground as near as itself.
The losses say nothing about depth within the subject.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Bands on both sides of the border: from the first distance to the second.
NEAR_PX, FAR_PX = (1, 3), (4, 9)
# Radius of the window around a border pixel in which a band is averaged.
NEAR_WINDOW_PX, FAR_WINDOW_PX = 4, 10
LEAST_STEP = 0.2  # of normalised inverse depth, between a subject and its surroundings
SHARPNESS = 0.85  # share of the whole step that should lie between the near bands
OVERSHOOT = 1.1  # share of it above which the border is a bright rim
FACING_DOWN = 0.35  # sine of the angle below the horizontal from which on a border is ignored
FOOT_SHARE = 0.1  # lowest part of a subject's height that is ignored


class Steps(NamedTuple):
    """Depth inside minus outside at each border pixel, between wide and narrow bands, (B, H, W). counts: 0 or 1."""

    wide: Tensor
    narrow: Tensor
    counts: Tensor


def order(steps: Steps, weight: Tensor) -> Tensor:
    """The amount by which the inside fails to be nearer than the outside by LEAST_STEP.

    Args:
        steps: of the predicted depth.
        weight: (B,), 1 for samples with a near subject's mask.
    """
    return _mean(F.relu(LEAST_STEP - steps.wide), steps.counts, weight)


def border(steps: Steps, weight: Tensor) -> Tensor:
    """The share of the step that is missing at the mask's border, or too much there: 0 where SHARPNESS to OVERSHOOT of it
    lies there, and without a step.

    It is a share, because a loss on the difference itself falls for ever as the whole subject moves away from its background.
    """
    share = steps.narrow / steps.wide.clamp(min=LEAST_STEP)
    counts = steps.counts * (steps.wide.detach() > LEAST_STEP)
    return _mean(F.relu(SHARPNESS - share) + F.relu(share - OVERSHOOT), counts, weight)


def steps(inverse_depth: Tensor, mask: Tensor) -> Steps:
    """The depth steps across the border of a mask; both (B, H, W)."""
    inside, outside = (mask > 0.5).to(inverse_depth.dtype), (mask <= 0.5).to(inverse_depth.dtype)
    counts = _grown(inside, 1) * _grown(outside, 1) * _not_below(mask, inside)
    found = []
    for (first, last), window in ((FAR_PX, FAR_WINDOW_PX), (NEAR_PX, NEAR_WINDOW_PX)):
        step = torch.zeros_like(inverse_depth)
        for side, sign in ((inside, 1.0), (outside, -1.0)):
            band = _shrunk(side, first) - _shrunk(side, last)
            share = _averaged(band, window)
            step = step + sign * _averaged(inverse_depth * band, window) / share.clamp(min=1e-6)
            counts = counts * (share > 1e-6)
        found.append(step)
    return Steps(found[0], found[1], counts)


def _not_below(mask: Tensor, inside: Tensor) -> Tensor:
    """1 where the border neither faces down nor lies at the subject's foot."""
    smooth = _averaged(mask.to(inside.dtype), 4)
    padded = F.pad(smooth[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    faces_down = -down > FACING_DOWN * torch.hypot(across, down)
    rows = torch.arange(mask.shape[1], device=mask.device, dtype=inside.dtype)
    taken = inside.amax(2) > 0  # (B, H)
    top = torch.where(taken, rows, rows[-1]).amin(1, keepdim=True)
    foot = torch.where(taken, rows, torch.zeros_like(rows)).amax(1, keepdim=True)
    above_foot = rows <= foot - FOOT_SHARE * (foot - top)
    return (~faces_down & above_foot[:, :, None]).to(inside.dtype)


def _mean(values: Tensor, counts: Tensor, weight: Tensor) -> Tensor:
    means = (values * counts).sum((1, 2)) / counts.sum((1, 2)).clamp(min=1)
    weighted = means * weight * (counts.sum((1, 2)) > 0)
    return weighted.sum() / weight.sum().clamp(min=1e-6)


def _grown(area: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(area[:, None], 2 * pixels + 1, 1, pixels)[:, 0]


def _shrunk(area: Tensor, pixels: int) -> Tensor:
    """The area without the pixels close to its border; the picture's frame is no border."""
    return 1 - _grown(1 - area, pixels)


def _averaged(values: Tensor, radius: int) -> Tensor:
    return F.avg_pool2d(values[:, None], 2 * radius + 1, 1, radius, count_include_pad=False)[:, 0]
