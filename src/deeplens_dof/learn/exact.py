"""The definition of the lens blur: slow, obvious and differentiable. The renderers in `lens_blur` are its fast twins.

**The picture is the mean of the views from all points of the lens** (distributed ray tracing: Cook, Porter and Carpenter
1984). From the lens point `u` in the unit disc, a fragment of a surface at pixel `x` with the signed CoC `c` appears at
`x + c u`, and nearer fragments occlude farther ones. One view takes three steps.

1. **Splat.** A surface of slope `g = grad c` maps `x -> x + c u`, with the Jacobian `J = 1 + u g^T`. A fragment at `p` has
   the weight `k(J^-1 (y - p))` at pixel `y`, where `k` is a tent of one pixel. This is forward splatting (softmax splatting,
   Niklaus and Liu 2020, sec. 3.1) with a footprint that stretches with the surface (elliptical weighted average, Heckbert
   1989). `k` sums to 1 on any grid: a stretched surface does not tear, a compressed one does not count twice, and at a border
   the weights are its soft coverage. Each side of a fragment has a slope of its own, towards the neighbour on that side, so
   that creases and curves stay connected as well. Neighbours whose CoC differs by more than about SAME_SURFACE_PX belong to
   different surfaces, between which nothing is stretched.
2. **Occlude.** Fragments are sorted into slabs of `softness_px` of CoC; each fragment is shared by two slabs, so that
   visibility is smooth in depth. From the nearest slab on, with the transmittance `T` and a slab's coverage `a`, the part
   `h` of `T` is absorbed:

       h = (F(b + a) - F(b)) / (1 - F(b)),      T <- T (1 - h)

   Here `b` is the coverage of the previous WINDOW - 1 slabs. Within a window coverages add up, since they are parts of one
   surface that lie side by side. Beyond it they multiply, as in `over` (Porter and Duff 1984), since the surfaces are
   independent. In both cases 0.7 of the light from behind passes `alpha = 0.3`. `F(a) = min(a, 1)`, with its corner rounded
   within ROUNDING of 1, so that an opaque surface stays opaque where its coverage is almost 1.
3. **Accumulate.** Colour times weight times visibility is summed for each pixel; without colour, this sum is the coverage of
   the view. Coverage is below 1 where the background is unknown. There the other views decide, because the mean is divided
   by its coverage.

`k` and the shares of the slabs are smooth steps, `3 f^2 - 2 f^3`, instead of linear ones. The picture is then smooth in CoC,
lens points and colour where surfaces are plane, and stationary at CoC 0, as optics is; linear weights have their kink exactly
at CoC 0, where surfaces are in focus. The splats add 2/15 px^2 of variance per axis to a blur (linear ones 1/6), and none at
CoC 0.

Approximations: surfaces are as wide as their pixels, light does not depend on direction, and a background that no surface
holds cannot appear. Beyond the border, the outermost pixels are repeated. All tensors are (B, ...) and linear light, of any
float type, on any device.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from deeplens_dof.learn.surfaces import Surfaces, coc_of

SOFTNESS_PX = 0.5  # CoC between two slabs
WINDOW = 4  # neighbouring slabs in which coverages add up
SAME_SURFACE_PX = 0.75  # largest difference of CoC within a surface (soft, from 0.5 to 1)
ROUNDING = 0.1  # coverage from which on a surface counts as nearly opaque
SPLIT_FROM = 1_000_000  # fragments from which on a view is worth several threads
SMALLEST_STRETCH = 0.25  # of a surface viewed at a grazing angle
_ROUNDS = 2  # iterations to find the side of a fragment
_TINY = 1e-4
_UNSEEN = 1e-6  # weight of the sharp picture, for pixels that no view covers


class Fragments(NamedTuple):
    """The F fragments of all surfaces in one list. Nothing here depends on the lens point."""

    place: Tensor  # (2, F) column and row in px
    coc_px: Tensor  # (F,)
    slope: Tensor  # (2, 2, F) slope of the CoC in px / px: (before, after), (along columns, along rows)
    alpha: Tensor  # (F,)
    colour: Tensor  # (3, F)
    picture: Tensor  # (F,) index in the batch
    slab: Tensor  # (F,) the nearer of its two slabs, which are numbered from near to far
    farther: Tensor  # (F,) its share in the farther slab
    size: tuple[int, int, int]  # batch, height, width


_TAUGHT = ("coc_px", "slope", "alpha", "colour", "farther")  # the fragments' parts that gradients reach


def render(
    rgb: Tensor,
    inverse_depth: Tensor,
    focus_inverse_depth: Tensor,
    blur_px: Tensor,
    points: Tensor,
    focus_range: Tensor | float = 0.0,
) -> Tensor:
    """Blurs a picture with its depth. Every argument receives gradients.

    Args:
        rgb: (B, 3, H, W) linear light.
        inverse_depth: (B, H, W) or (B, 1, H, W).
        focus_inverse_depth: (B,) or a number, in units of `inverse_depth`.
        blur_px: (B,) or a number, px of CoC per unit of inverse depth, as for `optics.thin_lens.signed_coc_px`.
        points: (N, 2) lens points in the unit disc.
        focus_range: (B,) or a number, the range of inverse depth that stays sharp.

    Returns:
        (B, 3, H, W) linear light.
    """
    if inverse_depth.ndim == 4:
        inverse_depth = inverse_depth.squeeze(1)
    coc_px = coc_of(inverse_depth, focus_inverse_depth, blur_px, focus_range)
    return render_exact(Surfaces.of_picture(rgb, coc_px), points)


def render_exact(
    surfaces: Surfaces, points: Tensor, softness_px: float = SOFTNESS_PX, recompute: bool = True
) -> Tensor:
    """Blurs surfaces: the mean of the views from all lens points.

    Args:
        surfaces: the scene.
        points: (N, 2) lens points in the unit disc.
        softness_px: CoC between two slabs. A larger one carries gradients farther, and lets light leak through near surfaces.
        recompute: compute views again in the backward pass, so that memory does not grow with N; False allows second
            derivatives.

    Returns:
        (B, 3, H, W) linear light.

    Raises:
        ValueError: there are no points, or they have another shape.
    """
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"the lens points have shape {tuple(points.shape)}, expected (N, 2) with N > 0")
    points = points.to(surfaces.coc_px)
    reach = float(points.detach().abs().max())
    fragments = fragments_of(surfaces, reach, softness_px)
    if recompute and torch.is_grad_enabled():
        taught = [getattr(fragments, name) for name in _TAUGHT]
        fixed = fragments._replace(**{name: getattr(fragments, name).detach() for name in _TAUGHT})
        mean = _RecomputedMean.apply(fixed, points, *taught)
    else:
        with few_threads(fragments):
            mean = _mean(fragments, points)
    return (mean[:, :3] + surfaces.colour[:, 0] * _UNSEEN) / (mean[:, 3:] + _UNSEEN)


def _mean(fragments: Fragments, points: Tensor) -> Tensor:
    """The mean of the views (B, 4, H, W), premultiplied light and coverage."""
    batch, height, width = fragments.size
    mean = fragments.alpha.new_zeros(batch, 4, height, width)
    for number, point in enumerate(points, start=1):
        mean = mean + (_view(fragments, point) - mean) / number
    return mean


class _RecomputedMean(torch.autograd.Function):
    """`_mean` that keeps no view for the backward pass and computes each again there, both with `few_threads`."""

    @staticmethod
    def forward(ctx: Any, fragments: Fragments, points: Tensor, *taught: Tensor) -> Tensor:
        ctx.fragments = fragments
        ctx.save_for_backward(points, *taught)
        with few_threads(fragments):
            return _mean(fragments, points)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [
            part.detach().requires_grad_(needed)
            for part, needed in zip(ctx.saved_tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        points, *taught = leaves
        fragments = ctx.fragments._replace(**dict(zip(_TAUGHT, taught, strict=True)))
        with few_threads(fragments):
            for number in range(len(points)):
                with torch.enable_grad():
                    view = _view(fragments, points[number])
                if view.requires_grad:  # it does not where nothing is within the picture
                    view.backward(grad / len(points))
        return None, *(leaf.grad for leaf in leaves)


@contextmanager
def few_threads(fragments: Fragments) -> Iterator[None]:
    """One thread of torch for views of fewer than SPLIT_FROM fragments: there, waiting for each other costs threads more
    than they save, and many times as much where other programs use the cores.
    """
    before = torch.get_num_threads()
    if before == 1 or len(fragments.coc_px) >= SPLIT_FROM or fragments.coc_px.device.type != "cpu":
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_view(surfaces: Surfaces, point: Tensor, softness_px: float = SOFTNESS_PX) -> tuple[Tensor, Tensor]:
    """The view from one lens point (2,): light (B, 3, H, W) and coverage (B, 1, H, W), 0..1.

    Light is premultiplied: light / coverage is the colour, and 1 - coverage the empty part of the pixel.
    """
    point = point.to(surfaces.coc_px)
    reach = float(point.detach().abs().max())
    view = _view(fragments_of(surfaces, reach, softness_px), point)
    return view[:, :3], view[:, 3:]


def fragments_of(surfaces: Surfaces, reach: float, softness_px: float = SOFTNESS_PX) -> Fragments:
    """The fragments of all surfaces, with a border wide enough for lens points of |x|, |y| <= reach.

    Raises ValueError when every alpha is 0.
    """
    batch, _, height, width = surfaces.coc_px.shape
    present = surfaces.alpha > 0
    if not present.any():
        raise ValueError("every alpha is 0, expected at least one visible surface")
    largest = float((surfaces.coc_px.detach().abs() * present).max())
    margin = math.ceil(largest * reach) + 2
    rows = torch.arange(-margin, height + margin, device=present.device)
    columns = torch.arange(-margin, width + margin, device=present.device)
    inside = rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)[None, :]
    picture, which, y, x = present[..., inside[0], inside[1]].nonzero(as_tuple=True)
    at = (picture, which, inside[0][y, 0], inside[1][0, x])
    coc_px = surfaces.coc_px[at]
    outwards = torch.stack([columns[x] != at[3], rows[y] != at[2]])  # slopes end at the border
    slope = torch.stack([part[at] for part in slopes(surfaces.coc_px, present)]).view(2, 2, -1)
    level = -coc_px / softness_px
    slab = level.detach().floor()
    return Fragments(
        place=torch.stack([columns[x], rows[y]]).to(coc_px.dtype),
        coc_px=coc_px,
        slope=slope.masked_fill(outwards, 0.0),
        alpha=surfaces.alpha[at],
        colour=surfaces.colour.movedim(2, 0)[:, *at],
        picture=picture,
        slab=slab.long(),
        farther=_smooth(level - slab),
        size=(batch, height, width),
    )


def slopes(coc_px: Tensor, present: Tensor) -> list[Tensor]:
    """Slopes of every surface, (B, S, H, W) in px / px, towards its left, upper, right and lower neighbour.

    The neighbour is the surface of any index in the next pixel whose CoC is closest, if it continues this one; the slope is
    0 where none does.
    """
    found = []
    for is_after, axis in itertools.product((False, True), (3, 2)):
        length = coc_px.shape[axis] - 1
        here, there = (1 - is_after), int(is_after)
        change = coc_px.narrow(axis, there, length)[:, None] - coc_px.narrow(axis, here, length)[:, :, None]
        both = present.narrow(axis, there, length)[:, None] & present.narrow(axis, here, length)[:, :, None]
        unlike = change.detach().abs().masked_fill(~both, math.inf)  # (B, S here, S there, ...)
        nearest = unlike.argmin(2, keepdim=True)
        change = change.gather(2, nearest).squeeze(2)
        goes_on = _smooth(2 - change.abs() / (SAME_SURFACE_PX / 1.5)) * both.gather(2, nearest).squeeze(2)
        slope = goes_on * change if is_after else -goes_on * change
        edge = torch.zeros_like(coc_px.narrow(axis, 0, 1))
        found.append(torch.cat([slope, edge] if is_after else [edge, slope], axis))
    return found


def _view(fragments: Fragments, point: Tensor) -> Tensor:
    """The view from one lens point: (B, 4, H, W) premultiplied light and coverage."""
    batch, height, width = fragments.size
    which, cell = _reached(fragments, point)
    if len(which) == 0:
        return fragments.alpha.new_zeros(batch, 4, height, width)
    weight = _weight(fragments, which, cell, point) * fragments.alpha[which]
    at = (fragments.picture[which] * height + cell[1]) * width + cell[0]
    slab, farther = fragments.slab[which], fragments.farther[which]
    plane = batch * height * width
    places, slabs = _stacked(at.repeat(2), torch.cat([slab, slab + 1]), plane)
    shares = torch.cat([weight * (1 - farther), weight * farther])
    coverage = weight.new_zeros(slabs.numel()).scatter_add(0, places, shares)
    near, far = visibility(coverage.view_as(slabs), slabs).flatten()[places].chunk(2)
    visible = weight * torch.lerp(near, far, farther)
    light = torch.cat([fragments.colour.index_select(1, which) * visible, visible[None]])
    total = light.new_zeros(4, plane).scatter_add(1, at.expand(4, -1), light)
    return total.view(4, batch, height, width).transpose(0, 1)


@torch.no_grad()
def _stacked(at: Tensor, slab: Tensor, plane: int) -> tuple[Tensor, Tensor]:
    """Stacks the occupied slabs of each pixel, without the empty ones.

    at, slab: (M,) pixel and slab of each splat. Returns each splat's place in the stacks (M,), and the slab of every place
    (D, plane), nearest first; beyond the end of a stack, a slab behind all others.
    """
    last, first = int(slab.max()), int(slab.min())
    length = last - first + 1
    keys = at * length + slab - first
    if plane * length < 2**31:
        keys = keys.int()  # sorts twice as fast
    keys, which = torch.unique(keys, return_inverse=True)
    pixel = keys // length
    height = torch.bincount(pixel, minlength=plane)
    rank = torch.arange(len(keys), device=at.device) - (height.cumsum(0) - height)[pixel]
    place = rank * plane + pixel
    slabs = at.new_full((int(height.max()) * plane,), last + WINDOW)
    slabs[place] = (keys % length + first).long()
    return place[which], slabs.view(-1, plane)


@torch.no_grad()
def _reached(fragments: Fragments, point: Tensor) -> tuple[Tensor, Tensor]:
    """All M pairs of a fragment (M,) and a cell (2, M), column and row, that it contributes light to."""
    _, height, width = fragments.size
    moved = fragments.place + fragments.coc_px * point[:, None]
    sides = torch.tensor([[width], [height]], device=moved.device)
    reach = 1 + point.abs()[:, None] * fragments.slope.abs().amax(0).sum(0)
    most = math.ceil(float(reach.max()) - 1e-6)
    first = moved.floor().long()
    which, cells = [], []
    for offset in itertools.product(range(1 - most, most + 1), repeat=2):
        cell = first + torch.tensor(offset, device=moved.device)[:, None]
        near = (cell >= 0) & (cell < sides) & ((cell - moved).abs() < reach)
        index = near.all(0).nonzero().squeeze(1)
        index = index[_weight(fragments, index, cell.index_select(1, index), point) > 0]
        which.append(index)
        cells.append(cell.index_select(1, index))
    return torch.cat(which), torch.cat(cells, 1)


def _weight(fragments: Fragments, which: Tensor, cell: Tensor, point: Tensor) -> Tensor:
    """k(J^-1 (y - p)) of the fragments `which` (M,) at the cells (2, M), with the slopes of the side on which y - p lies."""
    place, coc_px, slope = (
        part.index_select(-1, which) for part in (fragments.place, fragments.coc_px, fragments.slope)
    )
    away = cell - place - coc_px * point[:, None]
    with torch.no_grad():
        source = away
        for _ in range(_ROUNDS):
            source = _unmoved(away, torch.where(source > 0, slope[1], slope[0]), point)
    source = _unmoved(away, torch.where(source > 0, slope[1], slope[0]), point)
    return _smooth(1 - source.abs()).prod(0)


def _unmoved(away: Tensor, slope: Tensor, point: Tensor) -> Tensor:
    """J^-1 `away` (2, M), where J^-1 = 1 - u g^T / (1 + u g)."""
    stretch = (1 + (slope * point[:, None]).sum(0)).clamp(min=SMALLEST_STRETCH)
    return away - point[:, None] * ((slope * away).sum(0) / stretch)


def visibility(coverage: Tensor, slab: Tensor) -> Tensor:
    """The visible part of the coverage in each slab, (D, P) 0..1: step 2 of the definition.

    coverage: (D, P), nearest first; slab: (D, P) integers that do not decrease.
    """
    passes = torch.ones_like(coverage[0])
    before: deque[tuple[Tensor, Tensor]] = deque(maxlen=WINDOW - 1)
    visible = []
    for covered, here in zip(coverage, slab, strict=True):
        already = torch.zeros_like(covered)
        for other, there in before:
            already = already + other * (here - there < WINDOW)
        excess = _excess(already)
        gain = _excess(already + covered) - excess
        rest = (1 - already - excess).clamp(min=_TINY)
        visible.append(passes / rest * (1 + gain / covered.clamp(min=_TINY)))
        passes = passes * (1 - (covered + gain) / rest).clamp(min=0)
        before.append((covered, here))
    return torch.stack(visible)


def _excess(coverage: Tensor) -> Tensor:
    """F(a) - a: 0 up to 1 - ROUNDING, 1 - a from 1 on, and between them a cubic that meets both smoothly."""
    t = ((coverage - 1) / ROUNDING + 1).clamp(min=0)
    return torch.where(coverage < 1, ROUNDING * (t * t - t * t * t), 1 - coverage)


def _smooth(f: Tensor) -> Tensor:
    """A smooth step: 0 below 0, 1 above 1, 3 f^2 - 2 f^3 between."""
    f = f.clamp(0, 1)
    return f * f * (3 - 2 * f)
