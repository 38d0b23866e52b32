"""The tone curve between linear light and networks: perceptually uniform, and defined above white."""

from __future__ import annotations

import torch
from torch import Tensor

_SLOPE_AT_WHITE = 1.055 / 2.4  # of the sRGB curve


def to_tone(linear: Tensor) -> Tensor:
    """Linear light from 0 on to tone: the sRGB curve (IEC 61966-2-1) up to 1, continued by a logarithm of the same slope."""
    dark = linear.clamp(0, 0.0031308) * 12.92
    middle = 1.055 * linear.clamp(0.0031308, 1.0) ** (1 / 2.4) - 0.055
    bright = _SLOPE_AT_WHITE * torch.log(linear.clamp(min=1.0))
    return torch.where(linear < 0.0031308, dark, middle + bright)


def from_tone(tone: Tensor) -> Tensor:
    """The inverse of `to_tone`."""
    dark = tone.clamp(max=0.04045) / 12.92
    middle = ((tone.clamp(0.04045, 1.0) + 0.055) / 1.055) ** 2.4
    bright = torch.exp((tone.clamp(min=1.0) - 1) / _SLOPE_AT_WHITE)
    return torch.where(tone < 0.04045, dark, middle * bright)
