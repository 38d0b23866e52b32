"""The light module: how bright what was clipped may have been, so that lamps blur into bright discs and walls do not glow.

All tensors are (B, C, H, W). The camera's side of it is `lens_blur/light.py`.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.block import Block

MULTIPLE_PX = 32  # sides of what LightNetwork takes
MOST_GAIN = 5.0  # a factor of 148
_CALM = 2.5  # it begins with gains of about log(1 + exp(-2.5)) = 0.08


class LightNetwork(nn.Module):
    """Says for every pixel and channel by how much the light exceeds white where it is clipped, as a logarithm.

    A U-Net at half the size and below: a rim is a mixture of lamp and background, a channel that is not clipped tells of
    those that are, and what lies far round it tells whether it is a lamp, a wall or the sky.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 48, 64, 64)) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * 6, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.encode = nn.ModuleList(Block(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(Block(width) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * 3, 3, padding=1)

    def forward(self, srgb: Tensor, clipped: Tensor) -> Tensor:
        """Log gains (B, 3, H, W), 0..MOST_GAIN. srgb: the picture, 0..1; clipped: how surely each channel was, 0..1; both
        (B, 3, H, W), H and W multiples of MULTIPLE_PX."""
        seen = self.enter(F.pixel_unshuffle(torch.cat([srgb, clipped], 1), 2))
        passed = []
        for number, block in enumerate(self.encode):
            seen = block(self.down[number - 1](seen) if number else seen)
            passed.append(seen)
        for number in reversed(range(len(self.decode))):
            seen = F.interpolate(self.up[number](seen), scale_factor=2.0, mode="nearest")
            seen = self.decode[number](seen + passed[number])
        answer = F.pixel_shuffle(self.leave(F.leaky_relu(seen, 0.1)), 2)
        return F.softplus(answer - _CALM).clamp(max=MOST_GAIN)
