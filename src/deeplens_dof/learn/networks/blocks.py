"""The building blocks of the convolutional networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


def leaky_relu(x: Tensor) -> Tensor:
    """The leaky ReLU with a slope of 0.1 below 0."""
    return F.leaky_relu(x, 0.1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each after an activation, added to their input."""

    def __init__(self, width: int, activation: Callable[[Tensor], Tensor] = leaky_relu) -> None:
        super().__init__()
        self.activation = activation
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same."""
        return x + self.second(self.activation(self.first(self.activation(x))))


class HalfSizeUNet(nn.Module):
    """A U-Net at half the input's size and below: a quarter of the cost, twice the receptive field.

    The channels of 2 x 2 pixels enter and leave together. Each level, with its own width, is half as large as the one before.
    """

    def __init__(self, channels_in: int, widths: tuple[int, ...], channels_out: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * channels_in, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.encode = nn.ModuleList(ResidualBlock(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * channels_out, 3, padding=1)

    def predict(self, planes: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W); H and W are multiples of 2 ** len(widths)."""
        x = self.enter(F.pixel_unshuffle(planes, 2))
        skipped = []
        for number, block in enumerate(self.encode):
            x = block(self.down[number - 1](x) if number else x)
            skipped.append(x)
        for number in reversed(range(len(self.decode))):
            x = F.interpolate(self.up[number](x), scale_factor=2.0, mode="nearest")
            x = self.decode[number](x + skipped[number])
        return F.pixel_shuffle(self.leave(leaky_relu(x)), 2)
