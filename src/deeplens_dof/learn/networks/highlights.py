"""The light module: how bright what was clipped may have been, so that lamps blur into bright discs and walls do not glow.

All tensors are (B, C, H, W). The camera's side of it is `highlights/network.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from deeplens_dof.learn.networks.blocks import HalfSizeUNet

MULTIPLE_PX = 32  # sides of what LightNetwork takes
MOST_GAIN = 5.0  # a factor of 148
_CALM = 2.5  # it begins with gains of about log(1 + exp(-2.5)) = 0.08


class LightNetwork(HalfSizeUNet):
    """Says for every pixel and channel by how much the light exceeds white where it is clipped, as a logarithm.

    A U-Net at half the size and below: a rim is a mixture of lamp and background, a channel that is not clipped tells of
    those that are, and what lies far round it tells whether it is a lamp, a wall or the sky.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 48, 64, 64)) -> None:
        super().__init__(6, widths, 3)

    def forward(self, srgb: Tensor, clipped: Tensor) -> Tensor:
        """Log gains (B, 3, H, W), 0..MOST_GAIN. srgb: the picture, 0..1; clipped: how surely each channel was, 0..1; both
        (B, 3, H, W), H and W multiples of MULTIPLE_PX."""
        answer = self.answer(torch.cat([srgb, clipped], 1))
        return F.softplus(answer - _CALM).clamp(max=MOST_GAIN)
