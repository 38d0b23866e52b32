"""The guided upsampling module: a blur that was rendered small, and the sharp photo, to the blur at twice the size.

Applied again for x4 and more. All light is linear, all tensors (B, C, H, W), CoC in px of the larger picture. The camera
does the same in `lens_blur/baselines/guided_upsample.py`; the names of the steps are the same there.

1. The small blur is enlarged; what the photo has beyond its own enlarged half, its detail, is added as far as a blur of that
   CoC leaves it: `blurred_detail`, with kernels that are learnt, from pixels of the same surface only.
2. Where surfaces hide each other (`reach_of_steps`), a small network says how that, the photo and the enlarged blur, here and
   one cell aside, are to be mixed. Shares are positive and add up to 1: nothing rings, and nothing is made up.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHARP_PX = 0.2  # CoC below which a pixel that no other light reaches is the photo's own, bit for bit
SAME_LIGHT = (1e-5, 1e-3)  # absolute and relative difference of light that counts as none
STEP_PX = 1.0  # neighbours whose CoC differs by more lie on two surfaces
BLOCK = 16  # px
MARGIN_PX = 8.0  # beside a step, in which it is seen
DETAILED_PX = (6.0, 8.0)  # no CoC near a cell below these: it needs no network; softly
NODE_PX, NODES = (
    0.25,
    17,
)  # CoC for which there are kernels of detail; at the first nothing is blurred, at the last all
CLASSES = (0, 1, 2, 4, 5, 8, 9, 10, 13, 18)  # squared distances within a kernel, each of one weight
KERNEL_RADIUS, HALO = 3, 2  # px, and cells that the network sees round its own
BASES = 7
CHANNELS = 24


class GuidedUpsample(nn.Module):
    """A network at half the size of the result, with the kernels of detail. width: its channels."""

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
        """(B, 3, H, W) of sharp (B, 3, H, W), blurred (B, 3, H/2, W/2) and coc_px (B, 1, H, W); odd sizes rounded up."""
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

    def logits(self, seen: Tensor) -> Tensor:
        """What the network says of `features`, (B, 4 * BASES, h, w)."""
        seen = F.leaky_relu(self.enter(seen), 0.1)
        return self.leave(F.leaky_relu(self.middle(seen), 0.1))


def discs() -> Tensor:
    """(NODES, CLASSES): discs of the nodes' radii, to begin with."""
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
    """(dy, dx) at that squared distance, within a kernel."""
    reach = range(-KERNEL_RADIUS, KERNEL_RADIUS + 1)
    return [(dy, dx) for dy in reach for dx in reach if dy * dy + dx * dx == square]


def halved(light: Tensor, coc_px: Tensor) -> tuple[Tensor, Tensor]:
    """Light (B, 3, H, W) and CoC (B, 1, H, W) at half the size; its twin is in `lens_blur/baselines/halving.py`."""
    light, coc_px = (_padded(part, 2) for part in (light, coc_px))
    four = F.pixel_unshuffle(coc_px, 2)
    low, high = four.amin(1, keepdim=True), four.amax(1, keepdim=True)
    near = (four >= (low + high) / 2).to(four.dtype)
    counted = torch.where(near.sum(1, keepdim=True) >= 2, near, 1 - near)
    counted = torch.where(high - low <= STEP_PX, torch.ones_like(near), counted)
    mean = (four * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
    return F.avg_pool2d(light, 2), mean / 2


def enlarge(small: Tensor) -> Tensor:
    """Twice the size: cubic interpolation (Keys 1981, a = -0.5), no value beyond those of the four cells in a line."""
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
    """A quarter of the way from `nearest` to `near`."""
    value = (-3 * far + 29 * near + 111 * nearest - 9 * beyond) / 128
    low = torch.minimum(torch.minimum(far, near), torch.minimum(nearest, beyond))
    high = torch.maximum(torch.maximum(far, near), torch.maximum(nearest, beyond))
    return torch.minimum(torch.maximum(value, low), high)


def blurred_detail(detail: Tensor, coc_px: Tensor, table: Tensor) -> Tensor:
    """What a blur leaves of the detail, (B, 3, H, W)."""
    nodes = torch.arange(NODES, dtype=coc_px.dtype, device=coc_px.device).view(1, -1, 1, 1)
    near = 1 - (coc_px.abs().clamp(max=(NODES - 1) * NODE_PX) / NODE_PX - nodes).abs()
    weights = F.conv2d(
        near.clamp(min=0), table.T[:, :, None, None].contiguous()
    )  # between the two nodes around
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
    """What the network sees: (B, CHANNELS, h + 2 HALO, w + 2 HALO)."""
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
    """How much of the photo's contrast the small blur holds, in windows of 5 x 5 cells (He et al. 2013, eq. 5)."""

    def mean(plane: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(plane, (2, 2, 2, 2), mode="replicate"), 5, 1)

    middle, there = mean(own), mean(small)
    variance = (mean(own * own) - middle * middle).clamp(min=0)
    return ((mean(own * small) - middle * there) / (variance + 1e-3)).clamp(-1, 2)


def aside(enlarged: Tensor) -> list[Tensor]:
    """The enlarged blur 2 px to the left, to the right, above and below of each pixel."""
    wide = F.pad(enlarged, (2, 2, 2, 2), mode="replicate")
    height, width = enlarged.shape[-2:]
    return [wide[..., y : y + height, x : x + width] for y, x in ((2, 0), (2, 4), (0, 2), (4, 2))]


def positive(logits: Tensor) -> Tensor:
    """1 + x above zero, 1 / (1 - x) below: positive, smooth, and quick to compute."""
    return logits.clamp(min=0) + 1 / (1 - logits.clamp(max=0))


def mixture(bases: list[Tensor], shares: Tensor) -> Tensor:
    """The bases, each (B, 3, H, W), by their shares, (B, BASES, H, W)."""
    total = torch.zeros_like(bases[0])
    for number, basis in enumerate(bases):
        total = total + shares[:, number : number + 1] * basis
    return total / shares.sum(1, keepdim=True)


def reach_of_steps(coc_px: Tensor) -> Tensor:
    """0..1 (B, 1, H, W), soft: where light of a near surface passes a depth step, and beside steps; by blocks."""
    height, width = coc_px.shape[-2:]
    with torch.no_grad():
        radius = torch.full_like(coc_px, -MARGIN_PX)
        for dim in (2, 3):
            one, two = (
                coc_px.narrow(dim, 0, coc_px.shape[dim] - 1),
                coc_px.narrow(dim, 1, coc_px.shape[dim] - 1),
            )
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
    """0..1 (B, 1, h, w): how little is blurred within a cell of each cell."""
    low, high = DETAILED_PX
    smallest = -F.max_pool2d(F.max_pool2d(-coc_px.abs(), 2), 3, 1, 1)
    return ((high - smallest) / (high - low)).clamp(0, 1)


def untouched(sharp: Tensor, half: Tensor, blurred: Tensor, coc_px: Tensor) -> Tensor:
    """(B, 1, H, W): sharp, and the small blur of the cells around is the photo's own half."""
    absolute, relative = SAME_LIGHT
    changed = ((blurred - half).abs() > absolute + relative * half).any(1, keepdim=True).to(sharp.dtype)
    still = F.interpolate(F.max_pool2d(changed, 3, 1, 1), scale_factor=2.0, mode="nearest") == 0
    return still & (coc_px.abs() < SHARP_PX)


def _padded(part: Tensor, multiple: int) -> Tensor:
    """The last rows and columns repeated, up to sides that are multiples."""
    rows, columns = (-side % multiple for side in part.shape[-2:])
    return F.pad(part, (0, columns, 0, rows), mode="replicate") if rows or columns else part
