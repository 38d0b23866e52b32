"""Depth and subject from one photo: one encoder, one decoder, two heads.

The decoder is a small DPT (Ranftl et al., ICCV 2021): features of four depths of the transformer are fused from coarse to
fine with residual convolutions, and a thin path from the pixels joins at the end. Both heads answer at half the size of the
picture; a detail stage at its full size corrects them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeplens_dof.learn.networks.blocks import ResidualBlock
from deeplens_dof.learn.networks.vit import DEPTH, HEADS, WIDTH, VisionTransformer

# Parts whose answer starts at zero and which older files lack: the beginnings of their parameters' names.
STARTS_AT_ZERO = ("matte_head.recognise.", "detail.")
IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE_MULTIPLE = 28  # px; the input's sides must be multiples of it


class DepthAndMatte(NamedTuple):
    """inverse_depth: (B, 1, H, W), larger is nearer, scale and shift are arbitrary. matte_logits: same shape."""

    inverse_depth: Tensor
    matte_logits: Tensor


def _residual(width: int) -> ResidualBlock:
    return ResidualBlock(width, F.gelu)


class Decoder(nn.Module):
    """Fuses four feature maps of 1/14 size with the picture. channels: at 1/14, 1/7, 1/4 and 1/2 of the size."""

    def __init__(self, width: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        coarse, middle, fine, pixel = channels
        self.project = nn.ModuleList(nn.Conv2d(width, c, 1) for c in (fine, middle, coarse, coarse))
        self.spread = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.coarse = nn.Sequential(_residual(coarse), _residual(coarse))
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle1, self.middle2 = _residual(middle), _residual(middle)
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.fine1, self.fine2 = _residual(fine), _residual(fine)
        self.to_pixel = nn.Conv2d(fine, pixel, 1)
        self.pixels = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GELU(), nn.Conv2d(16, pixel, 3, padding=1))
        self.pixels_down = nn.Sequential(nn.GELU(), nn.Conv2d(pixel, fine, 3, 2, 1))

    def forward(self, levels: list[Tensor], rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The fused features at 1/7, 1/4 and 1/2 of the size of `rgb`."""
        height, width = rgb.shape[-2:]
        rows, columns = levels[0].shape[-2:]
        x = self.project[3](levels[3])
        x = x + self.spread(x) + x.mean((2, 3), keepdim=True)
        x = self.coarse(x + self.project[2](levels[2]))
        seventh = (2 * rows, 2 * columns)
        x = self.middle1(_resized(self.to_middle(x), seventh) + _resized(self.project[1](levels[1]), seventh))
        middle = self.middle2(x)
        quarter, half = (height // 4, width // 4), (height // 2, width // 2)
        pixels = self.pixels(rgb)
        x = _resized(self.to_fine(middle), quarter) + _resized(self.project[0](levels[0]), quarter)
        fine = self.fine2(self.fine1(x + _resized(self.pixels_down(pixels), quarter)))
        return middle, fine, _resized(self.to_pixel(fine), half) + _resized(pixels, half)


class MatteHead(nn.Module):
    """The subject's matte, decided on the encoder's last level and coarse features, drawn on fine ones.

    The decoder's features have no fixed scale, as inverse depth has none, so they are normalised first. They are learnt for
    depth; the encoder's last level recognises objects better. Its path starts at zero, so that older weights without it give
    unchanged results.
    """

    def __init__(self, channels: tuple[int, int, int, int], encoder_width: int, width: int = 32) -> None:
        super().__init__()
        _, middle, fine, pixel = channels
        self.recognise = nn.Conv2d(encoder_width, middle, 1)
        nn.init.zeros_(self.recognise.weight)
        nn.init.zeros_(self.recognise.bias)  # type: ignore[arg-type]
        self.normalise = nn.ModuleList(nn.GroupNorm(1, c, affine=False) for c in (middle, fine, pixel))
        self.decide = nn.Sequential(_residual(middle), _residual(middle), nn.Conv2d(middle, width, 1))
        self.from_fine = nn.Conv2d(fine, width, 1)
        self.draw = _residual(width)
        self.to_pixel = nn.Conv2d(width, pixel, 1)
        self.out = nn.Sequential(
            nn.GELU(), nn.Conv2d(pixel, pixel, 3, padding=1), nn.GELU(), nn.Conv2d(pixel, 1, 1)
        )

    def forward(self, last: Tensor, middle: Tensor, fine: Tensor, pixel: Tensor) -> Tensor:
        """Logits (B, 1, H/2, W/2)."""
        middle, fine, pixel = (norm(x) for norm, x in zip(self.normalise, (middle, fine, pixel), strict=True))
        middle = middle + _resized(self.recognise(last), middle.shape[-2:])
        x = self.draw(_resized(self.decide(middle), fine.shape[-2:]) + self.from_fine(fine))
        return self.out(_resized(self.to_pixel(x), pixel.shape[-2:]) + pixel)


class Detail(nn.Module):
    """Corrections of both maps at the size of the picture, from its pixels and the features at half of it.

    They start at zero, so that weights without this stage give unchanged results.
    """

    def __init__(self, pixel: int, width: int) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(3, width, 3, padding=1)
        self.from_half = nn.Conv2d(pixel, width, 1)
        self.fuse = _residual(width)
        self.out = nn.Conv2d(width, 2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, rgb: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections of inverse depth and of the matte's logits, (B, 1, H, W) each."""
        x = self.fuse(self.pixels(rgb) + _resized(self.from_half(pixel), rgb.shape[-2:]))
        with torch.autocast(x.device.type, enabled=False):
            depth, matte = self.out(F.gelu(x.float())).split(1, 1)
        return depth, matte


class DepthNetwork(nn.Module):
    """Predicts inverse depth and matte from a photo. The default sizes are those of DINOv2 ViT-S/14."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        width: int = WIDTH,
        heads: int = HEADS,
        depth: int = DEPTH,
        levels: tuple[int, int, int, int] = (2, 5, 8, 11),
        channels: tuple[int, int, int, int] = (128, 96, 64, 32),
        detail: int = 16,
    ) -> None:
        super().__init__()
        self.levels = levels
        self.encoder = VisionTransformer(width, heads, depth)
        self.decoder = Decoder(width, channels)
        pixel = channels[3]
        self.depth_head = nn.Sequential(
            nn.GELU(), nn.Conv2d(pixel, pixel, 3, padding=1), nn.GELU(), nn.Conv2d(pixel, pixel, 3,
            padding=1), nn.GELU(),
            nn.Conv2d(pixel, 1, 1),
        )  # fmt: skip
        self.matte_head = MatteHead(channels, width)
        self.detail = Detail(pixel, detail)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> DepthAndMatte:
        """rgb: (B, 3, H, W), sRGB 0..1, H and W multiples of 28. Raises ValueError for other sides."""
        height, width = rgb.shape[-2:]
        if not _is_traced() and (height % SIDE_MULTIPLE or width % SIDE_MULTIPLE):
            raise ValueError(
                f"the picture is {width} x {height}, expected sides that are multiples of {SIDE_MULTIPLE}"
            )
        x = (rgb - self.mean) / self.std
        levels = [
            level.contiguous(memory_format=torch.channels_last) for level in self.encoder(x, self.levels)
        ]
        x = x.contiguous(memory_format=torch.channels_last)
        middle, fine, pixel = self.decoder(levels, x)
        depth, matte = self.depth_head(pixel), self.matte_head(levels[3], middle, fine, pixel)
        finer_depth, finer_matte = self.detail(x, pixel)
        size = finer_depth.shape[-2:]
        return DepthAndMatte(
            _resized(depth.float(), size) + finer_depth, _resized(matte.float(), size) + finer_matte
        )


def _is_traced() -> bool:
    """True during export, when shapes are symbols that cannot be compared."""
    return bool(torch._C._get_tracing_state())


def _resized(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    if not _is_traced() and tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
