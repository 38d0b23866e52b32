"""The lens blur modules: what a learned network adds to the optics (`NeuralLensBlur`), and the network of the 2018 paper
(`PaperLensBlur`), the baseline.

All tensors are (B, C, H, W). Light is linear; inside, it is toned (`learn/tone.py`). CoC is signed, in px of the picture.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.tone import from_tone, to_tone

PAPER_LARGEST_PX = 7.0  # CoC that PaperLensBlur can reach
MULTIPLE_PX = 16  # sides of what NeuralLensBlur takes
LARGEST_PX = 34.0  # CoC that it was trained up to; more is rendered at a smaller scale
STEP_PX = 1.0  # neighbours whose CoC differs by more lie on two surfaces
BLURRED_PX = 0.5  # CoC below which clipped light stays where it is
CLIPPED = 0.9  # linear light from which on a channel may have been clipped
_REACHES = (2, 4, 8, 16, 36)
_COC_UNIT = 16.0
_SMALL = 0.1  # corrections are: with it they begin calmly


class NeuralLensBlur(nn.Module):
    """Corrects the optical renderer where it has to guess: round occlusion borders, where light of what a near object
    hides is seen past it and where borders are soft; and where clipped light comes to, of which nobody knows how bright it
    was.

    A U-Net at half the size and below, which sees the sharp picture, the optical blur and the CoC, says how far each pixel
    lies between blurred and sharp and what is to be added. Out of reach of all that the correction is exactly 0.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 48, 64, 96)) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * 10, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.encode = nn.ModuleList(Block(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(Block(width) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 16, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, light: Tensor, optical: Tensor, coc_px: Tensor) -> Tensor:
        """The corrected light (B, 3, H, W). light, optical: (B, 3, H, W); coc_px: (B, 1, H, W)."""
        change = self.correction(light, optical, coc_px)
        return torch.where(
            reach_of_guesses(light, coc_px) > 0, from_tone((to_tone(optical) + change).clamp(min=0)), optical
        )

    def correction(self, light: Tensor, optical: Tensor, coc_px: Tensor) -> Tensor:
        """What is to be added to the toned optical blur, (B, 3, H, W)."""
        sharp, blurred = to_tone(light), to_tone(optical)
        nearest = F.max_pool2d(coc_px, 9, 1, 4) - coc_px
        farthest = coc_px + F.max_pool2d(-coc_px, 9, 1, 4)
        facts = torch.cat([coc_px, coc_px.abs(), nearest, farthest], 1) / _COC_UNIT
        seen = self.enter(F.pixel_unshuffle(torch.cat([sharp, blurred, facts], 1), 2))
        passed = []
        for number, block in enumerate(self.encode):
            seen = block(self.down[number - 1](seen) if number else seen)
            passed.append(seen)
        for number in reversed(range(len(self.decode))):
            seen = F.interpolate(self.up[number](seen), scale_factor=2.0, mode="nearest")
            seen = self.decode[number](seen + passed[number])
        answer = F.pixel_shuffle(self.leave(F.leaky_relu(seen, 0.1)), 2)
        change = answer[:, 1:] + answer[:, :1] * (sharp - blurred)
        return reach_of_guesses(light, coc_px) * (_SMALL * change)


class Block(nn.Module):
    """Two convolutions, whose answer is added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        return seen + self.second(F.leaky_relu(self.first(F.leaky_relu(seen, 0.1)), 0.1))


def reach_of_guesses(light: Tensor, coc_px: Tensor) -> Tensor:
    """0..1 (B, 1, H, W), soft: where the optical renderer had to guess. That is where light passes a depth step on its
    way, and where clipped light comes to, by the CoC of either; light (B, 3, H, W), coc_px (B, 1, H, W)."""
    nearest, farthest = F.max_pool2d(coc_px, 3, 1, 1), F.max_pool2d(-coc_px, 3, 1, 1)
    largest = torch.maximum(nearest.abs(), farthest.abs())
    guessed = (nearest + farthest > STEP_PX) | (
        (light.amax(1, keepdim=True) >= CLIPPED) & (largest > BLURRED_PX)
    )
    radius = F.max_pool2d(torch.where(guessed, largest, 0.0), 2)
    reached = torch.zeros_like(radius)
    below = 0.0
    for reach in _REACHES:
        here = ((radius > below) & (radius <= reach)).to(radius.dtype)
        reached = torch.maximum(reached, _spread(here, reach // 2 + 1))
        below = float(reach)
    soft = F.avg_pool2d(reached, 5, 1, 2, count_include_pad=False)
    return F.interpolate(soft, scale_factor=2.0, mode="nearest")


def _spread(marks: Tensor, cells: int) -> Tensor:
    side = 2 * cells + 1
    return F.max_pool2d(F.max_pool2d(marks, (1, side), 1, (0, cells)), (side, 1), 1, (cells, 0))


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
        self._begin_near_the_photo()

    @torch.no_grad()
    def _begin_near_the_photo(self) -> None:
        """Makes the coloured pictures wider and wider blurs of the photo, and gives the photo itself the largest weight.
        Begun by chance, all pictures but the photo are so wrong that the weights fall to it at once and stay there."""
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
        """Blurred sRGB (B, 3, H, W) of srgb (B, 3, H, W) and coc_px (B, 1, H, W); sides are multiples of 8."""
        given = torch.cat([srgb, coc_px / 7.0], 1)
        deep = F.interpolate(self.deep(given), scale_factor=8.0, mode="bilinear", align_corners=False)
        merged = F.leaky_relu(self.blocks(self.merge(torch.cat([self.shallow(given), deep], 1))), 0.2)
        # of one size everywhere: else it grows until the softmax has no gradient any more
        merged = merged / (merged.square().mean(1, keepdim=True) + 1e-6).sqrt()
        weights = torch.softmax(self.weights(merged), 1)
        pictures, seen = [srgb], srgb
        for layer in self.colours:
            seen = layer(seen)
            pictures.append(seen)
        coloured = torch.cat(pictures, 1).unflatten(1, (self.features, 3))
        return (coloured * weights[:, :, None]).sum(1)
