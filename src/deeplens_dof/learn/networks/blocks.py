"""What our convolutional networks are built of."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions, whose answer is added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        return seen + self.second(F.leaky_relu(self.first(F.leaky_relu(seen, 0.1)), 0.1))


class HalfSizeUNet(nn.Module):
    """A U-Net at half the size of what comes in and below, so that it costs a quarter and sees twice as far; each width is
    half as large as the one before. Channels of 2 x 2 pixels go in and come out together."""

    def __init__(self, channels_in: int, widths: tuple[int, ...], channels_out: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * channels_in, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.encode = nn.ModuleList(Block(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(Block(width) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * channels_out, 3, padding=1)

    def answer(self, given: Tensor) -> Tensor:
        """(B, channels_out, H, W) of (B, channels_in, H, W); sides are multiples of 2 to the number of widths."""
        seen = self.enter(F.pixel_unshuffle(given, 2))
        passed = []
        for number, block in enumerate(self.encode):
            seen = block(self.down[number - 1](seen) if number else seen)
            passed.append(seen)
        for number in reversed(range(len(self.decode))):
            seen = F.interpolate(self.up[number](seen), scale_factor=2.0, mode="nearest")
            seen = self.decode[number](seen + passed[number])
        return F.pixel_shuffle(self.leave(F.leaky_relu(seen, 0.1)), 2)
