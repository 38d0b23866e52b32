"""Laws of the losses."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplens_dof.learn.training import losses

ONE = torch.ones(2)


def maps(seed: int, size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """A prediction and a target without values that are clamped."""
    both = torch.rand(2, 2, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return both[0], both[1]


def depth_losses(predicted: torch.Tensor, target: torch.Tensor) -> list[float]:
    """All depth losses of raw maps."""
    p, t = losses.normalised(predicted), losses.normalised_target(target)
    generator = torch.Generator().manual_seed(7)
    found = (
        losses.absolute(p, t, ONE),
        losses.gradient(p, t, ONE, 2.0),
        losses.ordinal(p, t, ONE, generator),
    )
    return [float(loss) for loss in found]


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-2, 1e3), st.floats(-1e3, 1e3), st.integers(0, 100))
def test_depth_losses_ignore_scale_and_shift_of_the_prediction(scale: float, shift: float, seed: int) -> None:
    predicted, target = maps(seed)
    for plain, moved in zip(
        depth_losses(predicted, target), depth_losses(predicted * scale + shift, target), strict=True
    ):
        assert moved == pytest.approx(plain, rel=1e-6)


def test_a_right_map_costs_nothing_but_the_ordinal_floor() -> None:
    _, target = maps(1)
    absolute, gradient, ordinal = depth_losses(target * 3 + 1, target)
    assert absolute == pytest.approx(0, abs=1e-9)
    assert gradient == pytest.approx(0, abs=1e-9)
    assert ordinal < depth_losses(-target, target)[2] / 10


def test_turned_depth_costs_more_than_flat_depth() -> None:
    _, target = maps(2)
    flat = torch.zeros_like(target) + torch.linspace(0, 1e-3, target.shape[-1], dtype=target.dtype)
    right, turned = depth_losses(target, target), depth_losses(-target, target)
    for good, level, bad in zip(right, depth_losses(flat, target), turned, strict=True):
        assert good < level < bad


def test_samples_without_labels_do_not_count() -> None:
    predicted, target = maps(3)
    spoilt = target.clone()
    spoilt[1] = 1e6 * torch.randn_like(spoilt[1])
    p = losses.normalised(predicted)
    weight = torch.tensor([1.0, 0.0])
    for loss in (losses.absolute, losses.gradient):
        plain, other = (float(loss(p, losses.normalised_target(t), weight)) for t in (target, spoilt))
        assert plain == pytest.approx(other)
    none = losses.absolute(p, losses.normalised_target(target), torch.zeros(2))
    assert none == 0


def test_borders_count_more_when_asked() -> None:
    target = torch.zeros(1, 16, 16, dtype=torch.float64)
    target[:, :, 8:] = 1
    blurred = torch.nn.functional.avg_pool2d(target[None], 3, 1, 1, count_include_pad=False)[0]
    p, t = losses.normalised(blurred), losses.normalised_target(target)
    assert losses.gradient(p, t, torch.ones(1), 3.0) > losses.gradient(p, t, torch.ones(1), 0.0)


def test_gradients_are_right() -> None:
    predicted, target = maps(4, size=9)
    predicted.requires_grad_(True)
    t = losses.normalised_target(target)

    def total(x: torch.Tensor) -> torch.Tensor:
        p = losses.normalised(x)
        ordinal = losses.ordinal(p, t, ONE.double(), torch.Generator().manual_seed(1), pairs=50)
        return losses.absolute(p, t, ONE.double()) + losses.gradient(p, t, ONE.double(), 2.0) + ordinal

    assert torch.autograd.gradcheck(total, (predicted,), eps=1e-7, atol=1e-5)
    mask = (target > 0.5).double()
    assert torch.autograd.gradcheck(lambda x: losses.matte(x, mask, ONE.double()), (predicted,))


def test_matte_loss_falls_with_overlap() -> None:
    truth = torch.zeros(2, 20, 20)
    truth[:, 5:15, 5:15] = 1
    logits = (truth * 2 - 1) * 8
    values = [losses.matte(torch.roll(logits, shift, 2), truth, ONE) for shift in (0, 2, 5, 10)]
    assert all(near < far for near, far in itertools.pairwise(values))
    assert values[0] < 0.01


def labels(seed: int, share: float = 0.6, size: int = 24) -> torch.Tensor:
    """1 where a pixel has a label, else 0, (2, size, size)."""
    random = torch.rand(2, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (random < share).double()


def weighed(predicted: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> list[torch.Tensor]:
    """All depth losses of raw maps with a weight per pixel."""
    p, t = losses.normalised(predicted, known), losses.normalised_target(target, known)
    generator = torch.Generator().manual_seed(7)
    return [
        losses.absolute(p, t, known),
        losses.gradient(p, t, known, 2.0),
        losses.ordinal(p, t, known, generator),
    ]


def test_a_label_everywhere_is_a_label_per_sample() -> None:
    predicted, target = maps(5)
    full = [float(loss) for loss in weighed(predicted, target, torch.ones_like(target))]
    assert full == pytest.approx(depth_losses(predicted, target), rel=1e-9)


def test_pixels_without_a_label_do_not_count() -> None:
    predicted, target = maps(6)
    known = labels(1)
    for spoilt in (
        target.where(known > 0, 1e6 * torch.randn_like(target)),
        target.where(known > 0, -5 + 0 * target),
    ):
        for plain, other in zip(
            weighed(predicted, target, known), weighed(predicted, spoilt, known), strict=True
        ):
            assert float(other) == pytest.approx(float(plain), rel=1e-9)
    moved = predicted.where(known > 0, predicted + 3)
    for plain, other in zip(weighed(predicted, target, known), weighed(moved, target, known), strict=True):
        assert float(other) == pytest.approx(float(plain), rel=1e-9)


def test_no_gradient_reaches_pixels_without_a_label() -> None:
    predicted, target = maps(7)
    known = labels(2)
    predicted.requires_grad_(True)
    torch.autograd.backward(torch.stack(weighed(predicted, target, known)).sum())
    assert predicted.grad is not None
    assert (predicted.grad[known == 0] == 0).all()
    assert (predicted.grad[known > 0] != 0).float().mean() > 0.9


def test_a_sample_without_any_label_has_no_weight() -> None:
    predicted, target = maps(8)
    known = labels(3)
    known[1] = 0
    alone = weighed(predicted[:1], target[:1], known[:1])
    for one, other in zip(alone[:2], weighed(predicted, target, known)[:2], strict=True):
        assert float(other) == pytest.approx(float(one))
    none = weighed(predicted, target, torch.zeros_like(target))
    assert [float(loss) for loss in none] == [0, 0, 0]
    assert losses.per_sample(known).tolist() == [1, 0]


def test_gradients_are_right_with_a_weight_per_pixel() -> None:
    predicted, target = maps(9, size=9)
    known = labels(4, size=9)
    predicted.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda x: torch.stack(weighed(x, target, known)).sum(), (predicted,), eps=1e-7, atol=1e-5
    )


def test_parts_of_a_batch_make_the_loss_of_the_whole() -> None:
    """As several processes need: pairs are those of the whole batch, and means add up by weight."""
    predicted, target = (torch.cat([part, part.flip(1)]) for part in maps(10))
    weight = torch.tensor([1.0, 0.0, 1.0, 1.0])
    whole = losses.ordinal(predicted, target, weight, torch.Generator().manual_seed(3))
    parts = 0.0
    for rank in range(2):
        rows, own = losses.Rows(rank, 2, 4), weight[rank::2]
        generator = torch.Generator().manual_seed(3)
        part = losses.ordinal(predicted[rank::2], target[rank::2], own, generator, rows=rows)
        parts += float(part * own.sum() / weight.sum())
    assert parts == pytest.approx(float(whole))
