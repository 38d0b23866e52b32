"""The lens blur network of the 2018 paper (`PaperLensBlur`), the baseline of `border_unmixing.py`.

All tensors are (B, C, H, W), sRGB 0..1. CoC is signed, in px of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.blocks import ResidualBlock

PAPER_LARGEST_PX = 7.0  # the largest CoC of PaperLensBlur


class PaperLensBlur(nn.Module):
    """The lens blur network of DeepLens (Wang et al., SIGGRAPH Asia 2018), built from its description.

    A kernel network gives each pixel 31 weights that sum to 1, a feature network 31 colour pictures of growing receptive
    field; the blur is the weighted sum. It works on sRGB 0..1, as in the paper. The receptive field of 15 px limits the blur
    to a radius of about 7 px.
    """

    features = 31

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(4, width // 2, 7, padding=3), nn.LeakyReLU(0.2))
        self.deep = nn.Sequential(
            nn.Conv2d(4, 16, 3, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(32, width, 3, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.merge = nn.Conv2d(width // 2 + width, width, 3, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(width) for _ in range(5)])
        self.weights = nn.Conv2d(width, self.features, 3, padding=1)
        self.colours = nn.ModuleList(
            [nn.Conv2d(3, 30, 3, padding=1), nn.Conv2d(30, 30, 5, padding=2), nn.Conv2d(30, 15, 5, padding=2),
             nn.Conv2d(15, 15, 5, padding=2)]
        )  # fmt: skip
        self._start_near_the_photo()

    @torch.no_grad()
    def _start_near_the_photo(self) -> None:
        """Initialises the colour pictures as ever wider blurs of the photo, and gives the photo the largest weight.

        With random initial weights, every picture but the photo is so wrong that its weight falls to 0 at once and stays.
        """
        for layer in self.colours:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            outs, ins = (torch.arange(count) for count in (layer.out_channels, layer.in_channels))
            same_colour = (outs[:, None] % 3 == ins % 3)[:, :, None, None]
            layer.weight.mul_(0.3).add_(same_colour * 3 / layer.weight[0].numel())
            layer.bias.zero_()
        assert self.weights.bias is not None
        self.weights.weight.mul_(0.1)
        self.weights.bias[0] += 3

    def forward(self, srgb: Tensor, coc_px: Tensor) -> Tensor:
        """Blurs srgb (B, 3, H, W) by coc_px (B, 1, H, W); H and W are multiples of 8."""
        given = torch.cat([srgb, coc_px / 7.0], 1)
        deep = F.interpolate(self.deep(given), scale_factor=8.0, mode="bilinear", align_corners=False)
        merged = F.leaky_relu(self.blocks(self.merge(torch.cat([self.shallow(given), deep], 1))), 0.2)
        # normalised, else it grows until the softmax has no gradient left
        merged = merged / (merged.square().mean(1, keepdim=True) + 1e-6).sqrt()
        weights = torch.softmax(self.weights(merged), 1)
        pictures = [srgb]
        for layer in self.colours:
            pictures.append(layer(pictures[-1]))
        coloured = torch.cat(pictures, 1).unflatten(1, (self.features, 3))
        return (coloured * weights[:, :, None]).sum(1)
