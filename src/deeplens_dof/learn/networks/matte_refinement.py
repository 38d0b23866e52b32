"""Matte refinement: the soft border of a subject at the photo's own size, and the colours on both sides of it.

The depth network tells subject from background on a small picture. `MatteRefinement` looks at the photo itself around that
coarse border, and gives every pixel the subject's share, the subject's own colour and the colour of what lies behind.

All tensors are (B, C, H, W). Colours are sRGB tones 0..1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deeplens_dof.learn.networks.blocks import HalfSizeUNet

MULTIPLE_PX = 16  # sides of the input
_ALPHA_SCALE, _COLOUR_SCALE = 1.0, 0.5  # of what the network adds


class Refined(NamedTuple):
    """alpha: (B, 1, H, W), 0..1. front, back: (B, 3, H, W), the tones of the subject and of what lies behind it."""

    alpha: Tensor
    front: Tensor
    back: Tensor


class MatteRefinement(HalfSizeUNet):
    """A U-Net at half the size and below, which corrects a coarse matte.

    The two colours and alpha mix to the photo again, in tones, as far as tones allow it.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 96)) -> None:
        super().__init__(5, widths, 7)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, rgb: Tensor, sides: Tensor) -> Tensor:
        """Refines a matte. H and W are multiples of MULTIPLE_PX.

        Args:
            rgb: (B, 3, H, W), the photo, sRGB 0..1.
            sides: (B, 2, H, W), the coarse matte 0..1 and relative inverse depth 0..1.

        Returns:
            (B, 7, H, W): alpha, the tones of the subject, the tones behind it.
        """
        return torch.cat(self.refined(rgb, sides), 1)

    def refined(self, rgb: Tensor, sides: Tensor) -> Refined:
        """`forward`, by name."""
        matte = sides[:, :1]
        change = self.predict(torch.cat([rgb - 0.5, sides - 0.5], 1)).to(rgb.dtype)
        alpha = _clamped(matte + _ALPHA_SCALE * change[:, :1])
        front, back = (_clamped(rgb + _COLOUR_SCALE * part) for part in (change[:, 1:4], change[:, 4:7]))
        share = alpha.detach()
        rest = 1 - share
        missing = (rgb - share * front - rest * back) / (share * share + rest * rest)
        return Refined(alpha, (front + share * missing).clamp(0, 1), (back + rest * missing).clamp(0, 1))


class _InwardClamp(torch.autograd.Function):
    """Clamps to 0..1. Beyond a bound only gradients that lead back pass: most pixels lie on a bound, some on the wrong one,
    and others would drift outwards without end.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (values,) = ctx.saved_tensors
        outwards = ((values <= 0) & (gradient > 0)) | ((values >= 1) & (gradient < 0))
        return gradient.masked_fill(outwards, 0)


def _clamped(values: Tensor) -> Tensor:
    if torch._C._get_tracing_state():
        return values.clamp(0, 1)
    return _InwardClamp.apply(values)  # type: ignore[no-any-return,no-untyped-call]
