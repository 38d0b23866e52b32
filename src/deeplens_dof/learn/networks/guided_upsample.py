"""The guided upsampling module: a blur that was rendered small, and the sharp photo, to the blur at twice the size.

Applied again for x4 and more. All light is linear, all tensors (B, C, H, W), CoC in px of the larger picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.block import Block
from deeplens_dof.learn.tone import from_tone, to_tone

SHARP_PX = 0.35  # CoC below which a pixel is the photo's own, bit for bit
_COC_UNIT = 4.0


class GuidedUpsample(nn.Module):
    """Says for every pixel how much of it is the sharp photo and how much the enlarged blur, and what is to be added.

    A small residual network at half the size of the result, whose answers are shuffled to full size: as many pixels as
    the small blur has. Where the CoC is below SHARP_PX and that of all neighbours too, the photo itself comes out.
    """

    def __init__(self, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * 3 + 3 + 4 * 3, width, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.leave = nn.Conv2d(width, 16, 3, padding=1)

    def forward(self, sharp: Tensor, blurred: Tensor, coc_px: Tensor) -> Tensor:
        """(B, 3, H, W) of sharp (B, 3, H, W), blurred (B, 3, H/2, W/2) and coc_px (B, 1, H, W); H and W are even."""
        toned, small = to_tone(sharp), to_tone(blurred)
        magnitude = coc_px.abs()
        near, far = F.max_pool2d(coc_px, 5, 1, 2) - coc_px, coc_px + F.max_pool2d(-coc_px, 5, 1, 2)
        facts = torch.cat(
            [
                magnitude.clamp(max=16) / _COC_UNIT,
                near.clamp(max=16) / _COC_UNIT,
                far.clamp(max=16) / _COC_UNIT,
            ],
            1,
        )
        seen = self.enter(torch.cat([F.pixel_unshuffle(toned, 2), small, F.pixel_unshuffle(facts, 2)], 1))
        answer = F.pixel_shuffle(self.leave(F.leaky_relu(self.blocks(seen), 0.1)), 2)
        enlarged = F.interpolate(small, scale_factor=2.0, mode="bicubic", align_corners=False)
        share = torch.sigmoid(answer[:, :1] + 2 - 2 * magnitude)
        mixed = enlarged + share * (toned - enlarged) + 0.1 * answer[:, 1:]
        untouched = F.max_pool2d(magnitude, 3, 1, 1) < SHARP_PX
        return torch.where(untouched, sharp, from_tone(mixed.clamp(min=0)))
