"""Guided upsampling: enlarges a blur that was rendered at half the size, guided by the sharp photo.

Apply it again for x4 and more. Light is linear, tensors are (B, C, H, W), CoC is in px of the larger picture. The steps have
the same names in `lens_blur/baselines/guided_upsample.py`, which runs the exported network.

1. The small blur is enlarged. The photo's detail, its difference from its own enlarged half, is added to the extent that a
   blur of that CoC leaves it (`blurred_detail`), with learnt kernels, from pixels of the same surface only.
2. Where surfaces occlude each other (`reach_of_steps`), a small network mixes this result, the photo, and the enlarged blur
   here and one cell to each side. Shares are positive and sum to 1, so nothing rings and nothing is invented.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHARP_PX = 0.2  # CoC below which a pixel that no other light reaches stays that of the photo, to the bit
SAME_LIGHT = (1e-5, 1e-3)  # absolute and relative difference of light that is ignored
STEP_PX = 1.0  # neighbours whose CoC differs by more lie on two surfaces
BLOCK = 16  # px
MARGIN_PX = 8.0  # on both sides of a depth step
DETAILED_PX = (6.0, 8.0)  # smallest CoC around a cell from which on it needs no network (a soft limit)
# There is a kernel of detail for each multiple of NODE_PX of CoC; the first blurs nothing, the last everything.
NODE_PX, NODES = 0.25, 17
CLASSES = (0, 1, 2, 4, 5, 8, 9, 10, 13, 18)  # squared distances within a kernel; each has one weight
KERNEL_RADIUS = 3  # px
HALO = 2  # cells around its own that the network sees
BASES = 7
CHANNELS = 24


class GuidedUpsample(nn.Module):
    """A network at half the size of the result, and the kernels of detail. width: its channels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.kernels = nn.Parameter(discs()[1:-1])
        self.enter = nn.Conv2d(CHANNELS, width, 3)
        self.middle = nn.Conv2d(width, width, 3)
        self.leave = nn.Conv2d(width, 4 * BASES, 1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        with torch.no_grad():
            self.leave.bias.copy_(torch.tensor([6.0] + [-6.0] * (BASES - 1)).repeat_interleave(4))

    def forward(self, sharp: Tensor, blurred: Tensor, coc_px: Tensor) -> Tensor:
        """The blur at full size, (B, 3, H, W).

        sharp: (B, 3, H, W). blurred: (B, 3, H/2, W/2), odd sizes rounded up. coc_px: (B, 1, H, W).
        """
        height, width = coc_px.shape[-2:]
        sharp, coc_px = (_padded(part, 2) for part in (sharp, coc_px))
        half = F.avg_pool2d(sharp, 2)
        enlarged = enlarge(blurred)
        detail = sharp - enlarge(half)
        plain = (enlarged + blurred_detail(detail, coc_px, self.table())).clamp(min=0)
        shares = positive(F.pixel_shuffle(self.logits(features(sharp, half, blurred, coc_px)), 2))
        mixed = mixture([plain, sharp, enlarged, *aside(enlarged)], shares)
        share = reach_of_steps(coc_px) * F.interpolate(detailed(coc_px), scale_factor=2.0, mode="nearest")
        result = torch.where(untouched(sharp, half, blurred, coc_px), sharp, plain + share * (mixed - plain))
        return result[..., :height, :width]

    def table(self) -> Tensor:
        """The kernels of detail, (NODES, CLASSES)."""
        ends = discs().to(self.kernels)
        return torch.cat([ends[:1], self.kernels, ends[-1:]])

    def logits(self, planes: Tensor) -> Tensor:
        """The network's output for `features`: (B, 4 * BASES, h, w)."""
        x = F.leaky_relu(self.enter(planes), 0.1)
        return self.leave(F.leaky_relu(self.middle(x), 0.1))


def discs() -> Tensor:
    """Initial kernels, (NODES, CLASSES): discs of the nodes' radii."""
    distance = torch.tensor(CLASSES).sqrt()
    count = torch.tensor([len(offsets(square)) for square in CLASSES])
    table = []
    for node in range(NODES):
        radius = node * NODE_PX
        cover = (radius + 0.5 - distance).clamp(0, 1)
        table.append(cover / max(math.pi * radius**2, float((cover * count).sum())))
    table[-1] = torch.zeros(len(CLASSES))
    return torch.stack(table)


def offsets(square: int) -> list[tuple[int, int]]:
    """The offsets (dy, dx) of a kernel at that squared distance."""
    reach = range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
    return [(dy, dx) for dy in reach for dx in reach if dy * dy + dx * dx == square]


def halved(light: Tensor, coc_px: Tensor) -> tuple[Tensor, Tensor]:
    """Light (B, 3, H, W) and CoC (B, 1, H, W) at half the size; the twin of `lens_blur.baselines.halving.halved`."""
    light, coc_px = (_padded(part, 2) for part in (light, coc_px))
    four = F.pixel_unshuffle(coc_px, 2)
    low, high = four.amin(1, keepdim=True), four.amax(1, keepdim=True)
    near = (four >= (low + high) / 2).to(four.dtype)
    counted = torch.where(near.sum(1, keepdim=True) >= 2, near, 1 - near)
    counted = torch.where(high - low <= STEP_PX, torch.ones_like(near), counted)
    mean = (four * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
    return F.avg_pool2d(light, 2), mean / 2


def enlarge(small: Tensor) -> Tensor:
    """Doubles the size by cubic interpolation (Keys 1981, a = -0.5), limited to the range of the four cells in a line."""
    return _doubled(_doubled(small, 2), 3)


def _doubled(small: Tensor, dim: int) -> Tensor:
    length = small.shape[dim]
    index = torch.arange(-2, length + 2, device=small.device).clamp(0, length - 1)
    padded = small.index_select(dim, index)
    before, left, here, right, after = (padded.narrow(dim, k, length) for k in range(5))
    return torch.stack(
        [_between(before, left, here, right), _between(after, right, here, left)], dim + 1
    ).flatten(dim, dim + 1)


def _between(far: Tensor, near: Tensor, nearest: Tensor, beyond: Tensor) -> Tensor:
    """The value a quarter of the way from `nearest` to `near`."""
    value = (-3 * far + 29 * near + 111 * nearest - 9 * beyond) / 128
    low = torch.minimum(torch.minimum(far, near), torch.minimum(nearest, beyond))
    high = torch.maximum(torch.maximum(far, near), torch.maximum(nearest, beyond))
    return torch.minimum(torch.maximum(value, low), high)


def blurred_detail(detail: Tensor, coc_px: Tensor, table: Tensor) -> Tensor:
    """The detail that remains after the blur, (B, 3, H, W)."""
    nodes = torch.arange(NODES, dtype=coc_px.dtype, device=coc_px.device).view(1, -1, 1, 1)
    near = 1 - (coc_px.abs().clamp(max=(NODES - 1) * NODE_PX) / NODE_PX - nodes).abs()
    # Interpolated between the two nearest nodes.
    weights = F.conv2d(near.clamp(min=0), table.T[:, :, None, None].contiguous())
    height, width = coc_px.shape[-2:]
    reach = 2 * (KERNEL_RADIUS, KERNEL_RADIUS)
    wide, wide_coc = F.pad(detail, (*reach,), mode="replicate"), F.pad(coc_px, (*reach,), mode="replicate")
    total = torch.zeros_like(detail)
    for number, square in enumerate(CLASSES):
        ring = torch.zeros_like(detail)
        for dy, dx in offsets(square):
            rows = slice(KERNEL_RADIUS + dy, KERNEL_RADIUS + dy + height)
            columns = slice(KERNEL_RADIUS + dx, KERNEL_RADIUS + dx + width)
            same = (1.5 - (wide_coc[..., rows, columns] - coc_px).abs() / STEP_PX).clamp(0, 1)
            ring = ring + same * wide[..., rows, columns]
        total = total + weights[:, number : number + 1] * ring
    return total


def features(sharp: Tensor, half: Tensor, blurred: Tensor, coc_px: Tensor) -> Tensor:
    """The network's input: (B, CHANNELS, h + 2 HALO, w + 2 HALO)."""
    photo, small, own = (_root(light) for light in (sharp, blurred, half))
    size = coc_px.abs().clamp(max=8) / 4, coc_px.clamp(-16, 16) / 8
    facts = F.pixel_unshuffle(torch.cat([photo, *size], 1), 2)
    return F.pad(
        torch.cat([facts, small, slope(own.mean(1, True), small.mean(1, True))], 1),
        4 * (HALO,),
        mode="replicate",
    )


def _root(light: Tensor) -> Tensor:
    return light.clamp(1e-6, 4).sqrt()


def slope(own: Tensor, small: Tensor) -> Tensor:
    """The share of the photo's contrast in the small blur, in windows of 5 x 5 cells (He et al. 2013, eq. 5)."""

    def mean(plane: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(plane, (2, 2, 2, 2), mode="replicate"), 5, 1)

    middle, there = mean(own), mean(small)
    variance = (mean(own * own) - middle * middle).clamp(min=0)
    return ((mean(own * small) - middle * there) / (variance + 1e-3)).clamp(-1, 2)


def aside(enlarged: Tensor) -> list[Tensor]:
    """The enlarged blur 2 px left of, right of, above and below each pixel."""
    wide = F.pad(enlarged, (2, 2, 2, 2), mode="replicate")
    height, width = enlarged.shape[-2:]
    return [wide[..., y : y + height, x : x + width] for y, x in ((2, 0), (2, 4), (0, 2), (4, 2))]


def positive(logits: Tensor) -> Tensor:
    """1 + x above zero, 1 / (1 - x) below: positive, smooth and fast."""
    return logits.clamp(min=0) + 1 / (1 - logits.clamp(max=0))


def mixture(bases: list[Tensor], shares: Tensor) -> Tensor:
    """The mean of the bases, each (B, 3, H, W), weighted by the shares (B, BASES, H, W)."""
    total = torch.zeros_like(bases[0])
    for number, basis in enumerate(bases):
        total = total + shares[:, number : number + 1] * basis
    return total / shares.sum(1, keepdim=True)


def reach_of_steps(coc_px: Tensor) -> Tensor:
    """The area of depth steps and of the near light that crosses them: a soft mask 0..1, (B, 1, H, W), in blocks."""
    height, width = coc_px.shape[-2:]
    with torch.no_grad():
        radius = torch.full_like(coc_px, -MARGIN_PX)
        for dim in (2, 3):
            length = coc_px.shape[dim] - 1
            one, two = coc_px.narrow(dim, 0, length), coc_px.narrow(dim, 1, length)
            step = torch.where((one - two).abs() > STEP_PX, torch.maximum(one, two).clamp(min=0), -MARGIN_PX)
            rest = coc_px.shape[dim] - step.shape[dim]
            pads = ((0, 0, 0, rest), (0, 0, rest, 0)) if dim == 2 else ((0, rest, 0, 0), (rest, 0, 0, 0))
            for pad in pads:
                radius = torch.maximum(radius, F.pad(step, pad, value=-MARGIN_PX))
        padded = F.pad(radius, (0, -width % BLOCK, 0, -height % BLOCK), value=-MARGIN_PX)
        left = ((F.max_pool2d(padded, BLOCK) + MARGIN_PX) / BLOCK).ceil()
        for _ in range(int(left.max())):
            left = torch.maximum(left, F.max_pool2d(left, 3, 1, 1) - 1)
        reached = (left > 0).to(coc_px.dtype)
    soft = F.interpolate(reached, scale_factor=float(BLOCK), mode="bilinear", align_corners=False)
    return soft[..., :height, :width]


def detailed(coc_px: Tensor) -> Tensor:
    """1 where the blur within one cell is small, 0 where it is large, (B, 1, h, w)."""
    low, high = DETAILED_PX
    smallest = -F.max_pool2d(F.max_pool2d(-coc_px.abs(), 2), 3, 1, 1)
    return ((high - smallest) / (high - low)).clamp(0, 1)


def untouched(sharp: Tensor, half: Tensor, blurred: Tensor, coc_px: Tensor) -> Tensor:
    """True for sharp pixels around which the small blur equals the photo's own half, (B, 1, H, W)."""
    absolute, relative = SAME_LIGHT
    changed = ((blurred - half).abs() > absolute + relative * half).any(1, keepdim=True).to(sharp.dtype)
    still = F.interpolate(F.max_pool2d(changed, 3, 1, 1), scale_factor=2.0, mode="nearest") == 0
    return still & (coc_px.abs() < SHARP_PX)


def _padded(part: Tensor, multiple: int) -> Tensor:
    """Repeats the last rows and columns up to the next multiple."""
    rows, columns = (-side % multiple for side in part.shape[-2:])
    return F.pad(part, (0, columns, 0, rows), mode="replicate") if rows or columns else part
