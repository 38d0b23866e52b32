"""Border unmixing: learns the alpha, the colour and the occluded background at the borders of near surfaces.

`BorderUnmixing` unmixes each border pixel into the near surface with its soft alpha and the background behind it, including
the occluded part. Exact optics then blur both (`learn/exact.py`; in the package `lens_blur/optical.py`).

All tensors are (B, C, H, W). Light is linear, and toned inside (`learn/tone.py`). CoC is signed, in px of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deeplens_dof.learn.networks.blocks import HalfSizeUNet
from deeplens_dof.learn.tone import from_tone, to_tone
from deeplens_dof.lens_blur.layers.borders import REACH_PX

MULTIPLE_PX = 16  # sides of the input
_COLOUR_SCALE = 0.3  # of the residual of both colours
# Thresholds of the residuals of alpha and of the tone of both colours in eval mode.
_LEAST = (0.2, 0.1 / _COLOUR_SCALE, 0.1 / _COLOUR_SCALE)
_BRIGHTEST = 3.5  # tone, some 300 times white


class BorderUnmixing(HalfSizeUNet):
    """Predicts the near surface's alpha and colour and the background's colour for pixels around a border.

    A U-Net at half the size and below predicts a residual to a first guess. Whatever it predicts, the two colours mix to the
    pixel again. In eval mode the residual is soft-thresholded by _LEAST: small corrections are noise where depth is right,
    large ones matter where it is wrong.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 96)) -> None:
        super().__init__(13, widths, 7)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, light: Tensor, near_light: Tensor, far_light: Tensor, sides: Tensor) -> Tensor:
        """Unmixes the borders of a picture. H and W are multiples of MULTIPLE_PX.

        Args:
            light: (B, 3, H, W) linear light.
            near_light: (B, 3, H, W), a first guess of the near surface's colour.
            far_light: (B, 3, H, W), a first guess of the background's colour.
            sides: (B, 4, H, W): a first guess of alpha, the CoC of the near and of the far surface in px, and the distance to
                the border in px (`lens_blur/layers/borders.py`).

        Returns:
            (B, 7, H, W): alpha of the near surface 0..1, its colour, and the colour behind it, linear light.
        """
        guessed, near_px, far_px, distance = sides.chunk(4, 1)
        gap = near_px - far_px
        within = (gap > 0).to(light.dtype)
        toned, near, far = to_tone(light), to_tone(near_light), to_tone(far_light)
        facts = torch.cat([guessed, torch.log1p(gap.clamp(min=0)) / 3, within, distance / REACH_PX], 1)
        residual = self.predict(torch.cat([toned, near, far, facts], 1)).to(light.dtype)
        parts = residual.split((1, 3, 3), 1)
        if not self.training:
            parts = tuple(_soft_threshold(part, least) for part, least in zip(parts, _LEAST, strict=True))
        alpha = torch.where(within > 0, _clamped(guessed + parts[0]), 1.0)
        front, back = (
            (guess + _COLOUR_SCALE * part).clamp(max=_BRIGHTEST)
            for guess, part in zip((near, far), parts[1:], strict=True)
        )
        return torch.cat([alpha, *_adding_up(light, alpha, from_tone(front), from_tone(back))], 1)


def _soft_threshold(change: Tensor, least: float) -> Tensor:
    """The change, shortened so that its largest channel falls by `least`; 0 where it is smaller."""
    size = change.abs().amax(1, keepdim=True)
    return change * ((size - least).clamp(min=0) / size.clamp(min=1e-6))


def _clamped(alpha: Tensor) -> Tensor:
    """Clamps to 0..1, but lets gradients pass: most pixels start on a bound, many on the wrong one."""
    return alpha + (alpha.clamp(0, 1) - alpha).detach()


def _adding_up(light: Tensor, alpha: Tensor, front: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """The colours closest to `front` and `back` that mix to `light` by alpha, clamped to 0."""
    front, back = front.clamp(min=0), back.clamp(min=0)
    rest = 1 - alpha
    missing = (light - alpha * front - rest * back) / (alpha * alpha + rest * rest)
    return (front + alpha * missing).clamp(min=0), (back + rest * missing).clamp(min=0)
