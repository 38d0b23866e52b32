"""Laws of the definition of the lens blur, its gradients, and the error of its fast twin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import deeplens_dof as dl
from deeplens_dof.learn import exact
from deeplens_dof.learn.exact import one_view, render, render_exact, visibility
from deeplens_dof.learn.surfaces import NOTHING, Surfaces, coc_of
from deeplens_dof.optics.thin_lens import signed_coc_px

# Largest errors of the fast twin, root mean square in linear light 0..1:
PLAIN_TOLERANCE = 0.01  # smooth pictures without depth steps (measured: 0.001)
EDGE_TOLERANCE = 0.02  # around a straight depth step, where it must guess the occluded background

SIDE = 24


def disc(count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Lens points (count, 2) of the unit disc, evenly spread."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    radius, angle = (index / count).sqrt(), index * math.pi * (3 - math.sqrt(5))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1).to(dtype)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth_texture(height: int, width: int, seed: int, grain_px: float = 9.0) -> Tensor:
    """(1, 3, height, width) 0..1, no detail finer than a few pixels."""
    small = noise(1, 3, max(3, round(height / grain_px)), max(3, round(width / grain_px)), seed=seed)
    size = (height, width)
    return torch.nn.functional.interpolate(small, size, mode="bicubic", align_corners=True).clamp(0, 1)


def plane(value: float, height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.full((1, height, width), value, dtype=torch.float64)


def paint(red: float, green: float, blue: float, height: int = SIDE, width: int = SIDE) -> Tensor:
    colour = torch.tensor([red, green, blue], dtype=torch.float64)
    return colour[None, :, None, None].expand(1, 3, height, width)


def stacked(*parts: tuple[Tensor, Tensor, Tensor]) -> Surfaces:
    """Surfaces from (colour (1, 3, H, W), coc (1, H, W), alpha (1, H, W)) each."""
    colour, coc, alpha = (torch.stack(kind, 1) for kind in zip(*parts, strict=True))
    return Surfaces(colour, coc, alpha)


def half(height: int = SIDE, width: int = SIDE) -> Tensor:
    """1 in the right half."""
    mask = torch.zeros(1, height, width, dtype=torch.float64)
    mask[..., width // 2 :] = 1
    return mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_blur_is_the_identity(dtype: torch.dtype) -> None:
    rgb = noise(2, 3, 13, 17).to(dtype)
    out = render_exact(Surfaces.of_picture(rgb, rgb.new_zeros(2, 13, 17)), disc(16, dtype))
    assert out.dtype == dtype
    assert torch.allclose(out, rgb, rtol=0, atol=1e-6)


def test_a_constant_picture_stays_constant_over_any_depth() -> None:
    coc = (noise(1, SIDE, SIDE) - 0.5) * 24
    out = render_exact(Surfaces.of_picture(paint(0.4, 0.4, 0.4), coc), disc(24))
    assert (out - 0.4).abs().max() < 1e-6


@pytest.mark.parametrize("coc", [5.0, -5.0, 7.4])
def test_a_point_of_light_becomes_a_disc_of_its_radius_and_keeps_its_energy(coc: float) -> None:
    rgb = torch.zeros(1, 3, 41, 41, dtype=torch.float64)
    rgb[..., 20, 20] = 100
    out = render_exact(Surfaces.of_picture(rgb, plane(coc, 41, 41)), disc(round(4.5 * coc**2)))[0, 1]
    y, x = torch.meshgrid(torch.arange(41) - 20, torch.arange(41) - 20, indexing="ij")
    squared = (x**2 + y**2).double()
    assert out.sum().item() == pytest.approx(100, rel=1e-5)
    splats = 2 * 2 / 15  # px^2: what the smooth tent adds, see the docstring
    assert ((out * squared).sum() / out.sum()).item() == pytest.approx(coc**2 / 2 + splats, rel=0.03)
    assert out[squared.sqrt() > abs(coc) + 1.5].max() == 0
    inside = out[squared.sqrt() < abs(coc) - 1.5]
    assert inside.std() < 0.2 * inside.mean()


def test_a_point_of_light_takes_the_shape_of_the_lens() -> None:
    rgb = torch.zeros(1, 3, 21, 21, dtype=torch.float64)
    rgb[..., 10, 10] = 1
    corner = torch.tensor([[1.0, 0.0], [1.0, 0.5], [0.0, -1.0]], dtype=torch.float64)
    out = render_exact(Surfaces.of_picture(rgb, plane(6, 21, 21)), corner)[0, 0]
    assert out[[10, 13, 4], [16, 16, 10]].tolist() == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_mirrored_input_gives_mirrored_output() -> None:
    rgb, coc = noise(1, 3, SIDE, SIDE + 5), (noise(1, SIDE, SIDE + 5, seed=1) - 0.5) * 9
    points = disc(12)
    out = render_exact(Surfaces.of_picture(rgb, coc), points)
    mirror = render_exact(Surfaces.of_picture(rgb.flip(3), coc.flip(2)), points * torch.tensor([-1, 1]))
    turned = render_exact(Surfaces.of_picture(rgb.mT, coc.mT), points.flip(1))
    assert torch.allclose(mirror.flip(3), out, atol=1e-9)
    assert torch.allclose(turned.mT, out, atol=1e-9)


def test_a_batch_is_its_pictures() -> None:
    rgb = noise(3, 3, SIDE, SIDE)
    coc = (noise(3, SIDE, SIDE, seed=1) - 0.5) * torch.tensor([2, 9, 30])[:, None, None]
    together = render_exact(Surfaces.of_picture(rgb, coc), disc(9))
    for k in range(3):
        alone = render_exact(Surfaces.of_picture(rgb[k : k + 1], coc[k : k + 1]), disc(9))
        assert torch.allclose(together[k : k + 1], alone, atol=1e-9)


@pytest.mark.parametrize("far", [-1.0, -4.0, -14.0])
def test_a_sharp_subject_receives_no_light_from_behind(far: float) -> None:
    subject = half()
    coc = plane(far) * (1 - subject)
    rgb = torch.where(subject[:, None] > 0, paint(0.1, 0.2, 0.1), paint(1, 1, 1))
    out = render_exact(Surfaces.of_picture(rgb, coc), disc(40))
    assert ((out - rgb).abs() * subject[:, None]).max() < 1e-3


def test_a_blurred_foreground_spills_and_is_seen_through() -> None:
    """Across its border, its share is the part of the disc on its side."""
    near, width = 8.0, 40
    front = (paint(1, 0, 0, 12, width), plane(near, 12, width), half(12, width))
    back = (paint(0, 1, 0, 12, width), plane(0, 12, width), plane(1, 12, width))
    out = render_exact(stacked(front, back), disc(250))[0, :, 6]
    inside = ((torch.arange(width) + 0.5 - width / 2) / near).clamp(-1, 1).double()
    part = 0.5 + (inside * (1 - inside**2).sqrt() + inside.asin()) / math.pi
    assert (out[0] - part).abs().max() < 0.02
    assert torch.allclose(out[0] + out[1], torch.ones(width, dtype=torch.float64), atol=1e-4)


@pytest.mark.parametrize("wide", [1, 2])
def test_a_thin_wire_keeps_its_energy(wide: int) -> None:
    wire = torch.zeros(1, 10, 41, dtype=torch.float64)
    wire[..., 20 : 20 + wide] = 1
    black, white = paint(0, 0, 0, 10, 41), paint(1, 1, 1, 10, 41)
    behind = (white, plane(0, 10, 41), plane(1, 10, 41))
    out = render_exact(stacked((black, plane(9, 10, 41), wire), behind), disc(99))
    assert (1 - out[0, 1, 5]).sum().item() == pytest.approx(wide, rel=0.02)
    assert (1 - out[0, 1, 5]).max() < 0.11 * wide


@pytest.mark.parametrize("slope", [(0.15, 0.0), (0.3, -0.3), (-0.1, 0.5)])
def test_a_slanted_plane_does_not_tear(slope: tuple[float, float]) -> None:
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    coc = (slope[0] * (x - 8) + slope[1] * (y - 8)).double()[None]
    texture = noise(1, 3, SIDE, SIDE) * torch.tensor([0.0, 1, 1])[:, None, None]
    behind = (paint(1, 0, 0), plane(-40), plane(1))
    for point in disc(12):
        light, coverage = one_view(stacked((texture, coc, plane(1)), behind), point)
        assert light[:, 0].max() < 1e-4
        assert coverage.min() > 0.999


def test_a_curved_surface_does_not_tear() -> None:
    y, x = torch.meshgrid(torch.arange(SIDE) - 11.5, torch.arange(SIDE) - 11.5, indexing="ij")
    dome = (6 - 0.02 * (x**2 + y**2)).double()[None]
    behind = (paint(1, 0, 0), plane(-30), plane(1))
    out = render_exact(stacked((paint(0, 1, 0), dome, plane(1)), behind), disc(40))
    assert out[:, 0].max() < 1e-4


@pytest.mark.parametrize("behind", [-0.6, -1.3, -2.0, -9.0])
@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.8])
def test_what_is_half_there_lets_the_rest_through(alpha: float, behind: float) -> None:
    front, back = (paint(1, 0, 0), plane(0.2), plane(alpha)), (paint(0, 1, 0), plane(behind), plane(1))
    for surfaces in (stacked(front, back), stacked(back, front)):  # their order means nothing
        out = render_exact(surfaces, disc(5))
        assert (out - paint(alpha, 1 - alpha, 0)).abs().max() < 1e-6


def test_far_apart_surfaces_are_put_over_each_other() -> None:
    colours, cocs, alphas = ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (9, 0, -9), (0.3, 0.5, 1)
    facts = zip(colours, cocs, alphas, strict=True)
    parts = [(paint(*colour), plane(coc), plane(alpha)) for colour, coc, alpha in facts]
    out = render_exact(stacked(*parts), disc(9))
    assert (out - paint(0.3, 0.7 * 0.5, 0.7 * 0.5)).abs().max() < 1e-6


def test_visibility_is_over_between_windows_and_a_sum_within() -> None:
    coverage = torch.tensor([[0.3, 0.3, 0.6], [0.5, 0.5, 0.6], [1.0, 1.0, 1.0]], dtype=torch.float64)
    slab = torch.tensor([[0, 0, 0], [10, 1, 1], [20, 20, 2]])
    seen = visibility(coverage, slab) * coverage
    assert seen.T.tolist() == [pytest.approx(v) for v in ([0.3, 0.35, 0.35], [0.3, 0.5, 0.2], [0.6, 0.4, 0])]


def test_nearness_decides_softly() -> None:
    """At equal CoC two surfaces are visible in equal parts; the nearer one takes over within the softness."""
    parts = []
    for ahead in (-1.0, -0.2, 0.0, 0.2, 1.0):
        coc = plane(ahead).requires_grad_()
        red, green = (paint(1, 0, 0), coc, plane(1)), (paint(0, 1, 0), plane(0), plane(1))
        out = render_exact(stacked(red, green), disc(5), softness_px=1.0)[0, 0, 12, 12]
        parts.append(out.item())
        if abs(ahead) == 0.2:
            (slope,) = torch.autograd.grad(out, coc)
            assert slope[0, 12, 12] > 0
    assert parts == sorted(parts)
    assert parts[0] == pytest.approx(0, abs=1e-3)
    assert parts[2] == pytest.approx(0.5)
    assert parts[4] == pytest.approx(1, abs=1e-3)


def test_a_hole_is_reported_and_filled_by_the_views_that_see_something() -> None:
    rgb = torch.where(half()[:, None] > 0, paint(1, 0, 0), paint(0, 1, 0))
    surfaces = Surfaces.of_picture(rgb, 6 * half())
    _, coverage = one_view(surfaces, torch.tensor([1.0, 0.0]))
    assert coverage[0, 0, 5, 12:18].max() < 1e-6
    assert coverage[0, 0, 5, :12].min() > 0.999
    out = render_exact(surfaces, disc(30))
    assert torch.allclose(out.sum(1), torch.ones(1, SIDE, SIDE, dtype=torch.float64), atol=1e-5)


def test_a_lens_point_that_sees_nothing_sees_a_hole() -> None:
    alone = torch.zeros_like(plane(0))
    alone[..., 12, 12] = 1
    for point in (torch.tensor([1.0, 0.0]), torch.tensor([0.0, -1.0])):
        _, coverage = one_view(stacked((paint(1, 1, 1), plane(30), alone)), point)
        assert coverage.max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_any_size_of_picture(shape: tuple[int, int]) -> None:
    rgb, coc = noise(1, 3, *shape), 8 * noise(1, *shape, seed=1)
    out = render_exact(Surfaces.of_picture(rgb, coc), disc(7))
    assert out.shape == rgb.shape
    assert out.min() >= rgb.min() - 1e-9
    assert out.max() <= rgb.max() + 1e-9


def test_coc_is_that_of_the_lens() -> None:
    depth = noise(2, 5, 7)
    focus, blur, width = torch.tensor([0.3, 0.6]), torch.tensor([12.0, 40.0]), torch.tensor([0.0, 0.2])
    coc = coc_of(depth, focus, blur, width)
    for k in range(2):
        facts = (float(value[k]) for value in (focus, blur, width))
        expected = signed_coc_px(depth[k].numpy().astype(np.float32), *facts)
        assert np.allclose(coc[k].numpy(), expected, atol=1e-4)


def test_layers_of_the_camera_become_surfaces() -> None:
    rng = np.random.default_rng(0)
    colours = [rng.random((4, 5, 3), np.float32) for _ in range(3)]
    front_coc, back_coc, hidden_coc = (np.full((4, 5), value, np.float32) for value in (2, -3, NOTHING))
    back_coc[:, 0], alpha = NOTHING, np.full((4, 5), 0.4, np.float32)
    alpha[:, 0], hidden_coc[0, 0] = 1, -7
    front, back, hidden = zip(colours, (front_coc, back_coc, hidden_coc), strict=True)
    surfaces = Surfaces.of_layers(front, alpha, back, hidden)
    assert surfaces.alpha[0, :, 0, 0].tolist() == [1, 0, 1]
    assert surfaces.alpha[0, :, 1, 1].tolist() == pytest.approx([0.4, 1, 0])
    assert surfaces.coc_px.abs().max() == 7
    out = render_exact(surfaces, torch.zeros(1, 2))[0].permute(1, 2, 0).numpy()
    assert np.allclose(out[:, 1:], (0.4 * colours[0] + 0.6 * colours[1])[:, 1:], atol=1e-5)


RGB, COC = noise(1, 3, 4, 5), noise(1, 4, 5)
MISTAKES: list[tuple[Callable[[], object], str]] = [
    (lambda: Surfaces(RGB[:, None], COC[:, None], COC[None].expand(1, 2, 4, 5)), "do not fit"),
    (lambda: Surfaces(RGB, COC, COC), "coc_px has shape"),
    (lambda: Surfaces.of_picture(RGB, COC.float()), "one type of float"),
    (lambda: render_exact(Surfaces.of_picture(RGB, COC), disc(3)[0]), "lens points"),
    (lambda: one_view(stacked((RGB, COC, 0 * COC)), disc(1)[0]), "at least one visible surface"),
]


@pytest.mark.parametrize(("make", "words"), MISTAKES)
def test_mistakes_are_told_in_a_sentence(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# Gradients


def edge_scene() -> tuple[Tensor, Tensor]:
    """A small picture, and inverse depth with an occlusion edge and slopes, away from whole numbers."""
    depth = 0.2 + 0.05 * noise(1, 6, 7, seed=3)
    depth[..., 4:] += 0.5
    return noise(1, 3, 6, 7), depth


def test_gradients_are_those_of_finite_differences() -> None:
    """For picture, depth, focus, blur and lens points, along random directions."""
    numbers = (torch.tensor([value]).double() for value in (0.33, 5.3, 0.11))
    inputs = [leaf.requires_grad_() for leaf in (*edge_scene(), *numbers, disc(4) * 0.97)]

    def picture(rgb: Tensor, depth: Tensor, focus: Tensor, blur: Tensor, width: Tensor, at: Tensor) -> Tensor:
        return render(rgb, depth, focus, blur, at, focus_range=width)

    assert torch.autograd.gradcheck(picture, inputs, eps=1e-6, atol=1e-5, fast_mode=True)


def test_gradients_to_focus_blur_and_every_lens_point() -> None:
    rgb, depth = edge_scene()
    focus, blur, points = torch.tensor([0.33]).double(), torch.tensor([5.3]).double(), disc(3) * 0.97

    def error(focus: Tensor, blur: Tensor, points: Tensor) -> Tensor:
        return (render(rgb, depth, focus, blur, points) - rgb.flip(1)).square().mean((2, 3))

    assert torch.autograd.gradcheck(
        error, [leaf.requires_grad_() for leaf in (focus, blur, points)], eps=1e-6, atol=1e-6
    )


def test_gradients_through_layers() -> None:
    rgb, depth = edge_scene()
    alpha = torch.stack([0.2 + 0.6 * noise(1, 6, 7, seed=5), torch.ones_like(depth)], 1).requires_grad_()
    colour = torch.stack([rgb, noise(1, 3, 6, 7, seed=6)], 1).requires_grad_()
    coc = torch.stack([6 * depth, 6 * depth - 3.4], 1).requires_grad_()
    points = disc(2) * 0.97

    def picture(colour: Tensor, coc: Tensor, alpha: Tensor) -> Tensor:
        return render_exact(Surfaces(colour, coc, alpha), points, recompute=False)

    assert torch.autograd.gradcheck(picture, (colour, coc, alpha), eps=1e-6, atol=1e-5, fast_mode=True)


def test_views_made_anew_give_the_same_gradients() -> None:
    rgb, depth = edge_scene()
    found = []
    for recompute in (False, True):
        coc = (9 * depth - 3).requires_grad_()
        out = render_exact(Surfaces.of_picture(rgb, coc), disc(5), recompute=recompute)
        found.append(torch.autograd.grad(out.square().sum(), coc)[0])
    assert torch.allclose(*found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("recompute", [False, True])
def test_small_pictures_are_not_split_between_threads(recompute, monkeypatch) -> None:
    """And the caller's number of threads is as before, in the backward pass and after an error too."""
    seen = []

    def view(*arguments: Any) -> Tensor:
        seen.append(torch.get_num_threads())
        return whole_view(*arguments)

    whole_view, before = exact._view, torch.get_num_threads()
    monkeypatch.setattr(exact, "_view", view)
    rgb, depth = edge_scene()
    coc = (9 * depth - 3).requires_grad_()
    torch.set_num_threads(3)
    try:
        out = render_exact(Surfaces.of_picture(rgb, coc), disc(2), recompute=recompute)
        out.sum().backward()
        assert set(seen) == {1}
        assert len(seen) == (4 if recompute else 2)
        assert torch.get_num_threads() == 3
        monkeypatch.setattr(exact, "SPLIT_FROM", 1)
        render_exact(Surfaces.of_picture(rgb, coc), disc(1))
        assert seen[-1] == 3, "large pictures are"
        monkeypatch.setattr(exact, "SPLIT_FROM", 10**9)
        monkeypatch.setattr(exact, "_view", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            render_exact(Surfaces.of_picture(rgb, coc), disc(1))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_picture_in_focus_is_stationary() -> None:
    """As in optics, where blur grows with the square of a small CoC: no kink at the focus."""
    coc = plane(0.0).requires_grad_()
    render_exact(Surfaces.of_picture(noise(1, 3, SIDE, SIDE), coc), disc(9)).square().sum().backward()
    assert coc.grad is not None
    assert coc.grad.abs().max() < 1e-9


def test_descent_finds_focus_and_blur_of_a_picture() -> None:
    rgb = smooth_texture(12, 20, seed=1, grain_px=4)
    depth = torch.linspace(0, 1, 20).double().expand(1, 12, 20)
    points = disc(8)
    target = render(rgb, depth, torch.tensor([0.6]), torch.tensor([5.0]), points)
    focus, blur = torch.tensor([0.4]).double(), torch.tensor([3.0]).double()
    leaves = [focus.requires_grad_(), blur.requires_grad_()]
    optimiser = torch.optim.LBFGS(leaves, lr=1, max_iter=16, line_search_fn="strong_wolfe")

    def error() -> Tensor:
        optimiser.zero_grad()
        loss = 1e3 * (render(rgb, depth, focus, blur, points) - target).square().mean()
        loss.backward()
        return loss

    optimiser.step(error)
    assert focus.item() == pytest.approx(0.6, abs=0.01)
    assert blur.item() == pytest.approx(5.0, abs=0.1)


# The camera's fast path


def fast(rgb: Tensor, coc: Tensor) -> Tensor:
    out = dl.render(rgb[0].permute(1, 2, 0).numpy().astype(np.float32), coc[0].numpy().astype(np.float32))
    return torch.from_numpy(out).permute(2, 0, 1)[None]


def rms(difference: Tensor) -> float:
    return difference.square().mean().sqrt().item()


@pytest.mark.parametrize("reach", [1.5, 7.0])
def test_the_fast_path_agrees_on_plain_pictures(reach: float) -> None:
    rgb = smooth_texture(56, 70, seed=2)
    coc = (reach * torch.linspace(-1, 1, 70).double()).expand(1, 56, 70)
    out = render_exact(Surfaces.of_picture(rgb.float(), coc.float()), disc(64, torch.float32))
    assert rms(out - fast(rgb, coc)) < PLAIN_TOLERANCE


@pytest.mark.parametrize(("near", "far"), [(7.0, 0.0), (0.0, -6.0), (5.0, -4.0)])
def test_the_fast_path_agrees_round_a_depth_step(near: float, far: float) -> None:
    height, width = 56, 72
    is_near = half(height, width)
    front, back = (smooth_texture(height, width, seed, 20) for seed in (3, 4))
    near_part = (front, plane(near, height, width), is_near)
    far_part = (back, plane(far, height, width), plane(1, height, width))
    surfaces = stacked(near_part, far_part)
    whole = Surfaces(*(part.float() for part in (surfaces.colour, surfaces.coc_px, surfaces.alpha)))
    out = render_exact(whole, disc(64, torch.float32))
    rgb = torch.where(is_near[:, None] > 0, front, back)
    difference = out - fast(rgb, far + (near - far) * is_near)
    reach = math.ceil(max(near, -far)) + 1
    assert rms(difference[..., width // 2 - reach : width // 2 + reach]) < EDGE_TOLERANCE
