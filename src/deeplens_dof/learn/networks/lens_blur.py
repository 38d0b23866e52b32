"""The lens blur network of the 2018 paper (`PaperLensBlur`), the baseline; ours is in `borders.py`.

All tensors are (B, C, H, W), sRGB 0..1. CoC is signed, in px of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.block import Block

PAPER_LARGEST_PX = 7.0  # CoC that PaperLensBlur can reach


class PaperLensBlur(nn.Module):
    """The lens blur network of DeepLens (Wang et al., SIGGRAPH Asia 2018), built after its description: a kernel network
    gives each pixel 31 weights that add up to 1, a feature network 31 coloured pictures of growing receptive field; the
    blur is the weighted sum.

    Works on sRGB 0..1, as the paper does. Its receptive field of 15 px bounds the blur to a radius of about 7 px.
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
        self.blocks = nn.Sequential(*[Block(width) for _ in range(5)])
        self.weights = nn.Conv2d(width, self.features, 3, padding=1)
        self.colours = nn.ModuleList(
            [nn.Conv2d(3, 30, 3, padding=1), nn.Conv2d(30, 30, 5, padding=2), nn.Conv2d(30, 15, 5, padding=2),
             nn.Conv2d(15, 15, 5, padding=2)]
        )  # fmt: skip

    def forward(self, srgb: Tensor, coc_px: Tensor) -> Tensor:
        """Blurred sRGB (B, 3, H, W) of srgb (B, 3, H, W) and coc_px (B, 1, H, W); sides are multiples of 8."""
        given = torch.cat([srgb, coc_px / 7.0], 1)
        deep = F.interpolate(self.deep(given), scale_factor=8.0, mode="bilinear", align_corners=False)
        merged = self.blocks(self.merge(torch.cat([self.shallow(given), deep], 1)))
        weights = torch.softmax(self.weights(F.leaky_relu(merged, 0.2)), 1)
        pictures, seen = [srgb], srgb
        for layer in self.colours:
            seen = layer(seen)
            pictures.append(seen)
        coloured = torch.cat(pictures, 1).unflatten(1, (self.features, 3))
        return (coloured * weights[:, :, None]).sum(1)
