"""The lens blur module: what a single photo does not show at the borders of near things, learnt.

`NeuralLensBlur` takes each border apart into the near surface with its soft alpha and what lies behind it, also where the
near one hides it; the exact optics (`learn/exact.py`, in the camera `lens_blur/optical.py`) blur both.

All tensors are (B, C, H, W). Light is linear; inside, it is toned (`learn/tone.py`). CoC is signed, in px of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deeplens_dof.learn.networks.blocks import HalfSizeUNet
from deeplens_dof.learn.tone import from_tone, to_tone
from deeplens_dof.lens_blur.layers.borders import REACH_PX

MULTIPLE_PX = 16  # sides of what the network takes
_SMALL = 0.3  # what is added to the colours is
_LEAST = (0.2, 0.1 / _SMALL, 0.1 / _SMALL)  # of what is added to alpha and to the tone of both colours
_BRIGHTEST = 3.5  # tone: some 300 times white


class NeuralLensBlur(HalfSizeUNet):
    """A U-Net at half the size and below. For every pixel round a border it says how much of it the near surface covers, what
    the near surface's own colour is and what lies behind it. Together they are the pixel again, whatever it says.

    When it is not trained, what it adds to the first guess is shrunk by _LEAST, and less than that is not added: where the
    depth is right the guess is better than a network's small doubts, where it is wrong the network has much to say."""

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 96)) -> None:
        super().__init__(13, widths, 7)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, light: Tensor, near_light: Tensor, far_light: Tensor, sides: Tensor) -> Tensor:
        """(B, 7, H, W): alpha of the near surface 0..1, its colour, and the colour behind it, linear light.

        light: (B, 3, H, W). near_light, far_light: a first guess of both colours. sides: (B, 4, H, W), the first guess of
        alpha, the CoC of the near and of the far surface, and the distance to the border, of `lens_blur/layers/borders.py`.
        H and W are multiples of MULTIPLE_PX.
        """
        guessed, near_px, far_px, distance = sides.chunk(4, 1)
        gap = near_px - far_px
        within = (gap > 0).to(light.dtype)
        seen, near, far = to_tone(light), to_tone(near_light), to_tone(far_light)
        facts = torch.cat([guessed, torch.log1p(gap.clamp(min=0)) / 3, within, distance / REACH_PX], 1)
        answer = self.answer(torch.cat([seen, near, far, facts], 1)).to(light.dtype)
        if not self.training:
            answer = torch.cat(
                [_less(part, least) for part, least in zip(answer.split((1, 3, 3), 1), _LEAST, strict=True)],
                1,
            )
        alpha = torch.where(within > 0, _within_bounds(guessed + answer[:, :1]), 1.0)
        front, back = (
            (first + _SMALL * more).clamp(max=_BRIGHTEST)
            for first, more in ((near, answer[:, 1:4]), (far, answer[:, 4:]))
        )
        return torch.cat([alpha, *_adding_up(light, alpha, from_tone(front), from_tone(back))], 1)


def _less(change: Tensor, least: float) -> Tensor:
    """The change, its largest channel nearer to 0 by `least`, in the same direction; 0 where it is smaller."""
    size = change.abs().amax(1, keepdim=True)
    return change * ((size - least).clamp(min=0) / size.clamp(min=1e-6))


def _within_bounds(alpha: Tensor) -> Tensor:
    """0..1, with a gradient beyond the bounds too: most pixels begin on one of them, many on the wrong one."""
    return alpha + (alpha.clamp(0, 1) - alpha).detach()


def _adding_up(light: Tensor, alpha: Tensor, front: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """The colours nearest to `front` and `back` of which alpha and 1 - alpha are `light`, and no less than 0."""
    front, back = front.clamp(min=0), back.clamp(min=0)
    rest = 1 - alpha
    missing = (light - alpha * front - rest * back) / (alpha * alpha + rest * rest)
    return (front + alpha * missing).clamp(min=0), (back + rest * missing).clamp(min=0)
