"""Laws of the losses on masks of near subjects."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deeplens_dof.learn.training import losses, mask_losses

ONE = torch.ones(1)
SIZE = 64


def disc(radius: float = 16.0) -> torch.Tensor:
    rows, columns = torch.meshgrid(*(torch.arange(SIZE, dtype=torch.float64) - SIZE / 2,) * 2, indexing="ij")
    return (torch.hypot(rows, columns) < radius).double()[None]


def both(inverse_depth: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    steps = mask_losses.steps(losses.normalised(inverse_depth), mask)
    return mask_losses.order(steps, ONE), mask_losses.border(steps, ONE)


def ground() -> torch.Tensor:
    """Nearer towards the lower edge."""
    return torch.linspace(0.0, 0.5, SIZE, dtype=torch.float64)[None, :, None].expand(1, SIZE, SIZE)


def test_a_subject_in_front_with_its_step_on_the_mask_costs_nothing() -> None:
    mask = disc()
    for right in (mask, mask * 3 + ground(), mask * 2 - ground()):
        order, border = both(right, mask)
        assert float(order) == pytest.approx(0, abs=1e-9)
        assert float(border) == pytest.approx(0, abs=1e-9)


def test_a_subject_behind_costs_more_than_a_level_one() -> None:
    mask = disc()
    level, behind = (float(both(depth, mask)[0]) for depth in (ground(), ground() - mask))
    assert 0 < level < behind


def test_a_step_beside_the_mask_or_blurred_costs() -> None:
    mask = disc()
    blurred = F.avg_pool2d(mask[None], 7, 1, 3, count_include_pad=False)[0]
    more_blurred = F.avg_pool2d(mask[None], 13, 1, 6, count_include_pad=False)[0]
    costs = [float(both(depth, mask)[1]) for depth in (mask, blurred, more_blurred)]
    assert costs[0] == pytest.approx(0, abs=1e-9)
    assert costs[0] < costs[1] < costs[2]
    for other in (disc(12.0), disc(20.0)):
        assert float(both(other, mask)[1]) > 0.1


def test_scale_and_shift_of_the_prediction_change_nothing() -> None:
    mask = disc()
    depth = (
        torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + mask / 2
    )
    for plain, moved in zip(both(depth, mask), both(depth * 37 - 5, mask), strict=True):
        assert float(moved) == pytest.approx(float(plain), rel=1e-9)


def test_the_height_of_a_step_has_no_part_in_how_sharp_it_is() -> None:
    mask = disc()
    blurred = F.avg_pool2d(mask[None], 13, 1, 6, count_include_pad=False)[0]
    steps = mask_losses.steps(blurred, mask)
    higher = mask_losses.Steps(3 * steps.wide, 3 * steps.narrow, steps.counts)
    plain, other = (float(mask_losses.border(found, ONE)) for found in (steps, higher))
    assert plain > 0
    assert other == pytest.approx(plain)
    depth = blurred.clone().requires_grad_()
    torch.autograd.backward(mask_losses.border(mask_losses.steps(depth, mask), ONE))
    assert depth.grad is not None
    assert float((depth.grad * blurred).sum()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("which", [0, 1])
def test_a_step_down_the_loss_brings_the_subject_nearer_at_its_border(which: int) -> None:
    mask = disc()
    blurred = F.avg_pool2d(mask[None], 13, 1, 6, count_include_pad=False)[0]
    depth = (-mask if which == 0 else blurred).clone().requires_grad_()
    torch.autograd.backward(both(depth, mask)[which])
    assert depth.grad is not None
    first, last = mask_losses.FAR_PX if which == 0 else mask_losses.NEAR_PX
    near = mask_losses._shrunk(mask, first) - mask_losses._shrunk(mask, last)
    beside = mask_losses._shrunk(1 - mask, first) - mask_losses._shrunk(1 - mask, last)
    assert float((depth.grad * near).sum()) < 0 < float((depth.grad * beside).sum())


def test_ground_in_front_of_the_feet_may_be_nearer() -> None:
    """A board that stands on the ground, which is as near as the board beside and below its foot."""
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.float64)
    mask[:, 10:40, 20:44] = 1
    at_its_foot = ground()[:, 39:40]
    standing = torch.where(mask > 0, at_its_foot + 0.02, torch.minimum(ground() - 0.4, at_its_foot))
    standing[:, 41:] = at_its_foot + 0.3
    assert float(both(standing, mask)[0]) == pytest.approx(0, abs=0.02)


def test_samples_without_a_near_subject_do_not_count() -> None:
    mask = torch.cat([disc(), disc(), torch.zeros_like(disc())])
    depth = torch.cat([disc(), -disc(), ground()])
    steps = mask_losses.steps(losses.normalised(depth), mask)
    for loss in (mask_losses.order, mask_losses.border):
        assert float(loss(steps, torch.tensor([1.0, 0.0, 1.0]))) == pytest.approx(0, abs=1e-9)
        assert float(loss(steps, torch.zeros(3))) == 0
