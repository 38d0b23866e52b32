"""Highlight reconstruction: estimates clipped light, so that lamps blur into bright discs and walls do not glow.

All tensors are (B, C, H, W). `highlights/network.py` runs the exported network.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deeplens_dof.learn.networks.blocks import HalfSizeUNet

MULTIPLE_PX = 32  # sides of the input
MOST_GAIN = 5.0  # of the logarithm: a factor of 148
_START = 2.5  # training starts with gains of about log(1 + exp(-2.5)) = 0.08


class HighlightNetwork(HalfSizeUNet):
    """Predicts for each pixel and channel the logarithm of the factor by which clipped light exceeds white.

    A U-Net at half the size and below. It can use the rim, where a lamp mixes with its background; channels that are not
    clipped; and the wide surroundings, which tell a lamp from a wall or the sky.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 48, 64, 64)) -> None:
        super().__init__(6, widths, 3)

    def forward(self, srgb: Tensor, clipped: Tensor) -> Tensor:
        """Log gains (B, 3, H, W), 0..MOST_GAIN.

        srgb: (B, 3, H, W), the picture, 0..1. clipped: (B, 3, H, W), the confidence that a channel is clipped, 0..1. H and W
        are multiples of MULTIPLE_PX.
        """
        gain = self.predict(torch.cat([srgb, clipped], 1))
        return F.softplus(gain - _START).clamp(max=MOST_GAIN)
