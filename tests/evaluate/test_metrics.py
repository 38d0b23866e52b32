"""Laws of the depth scores, with scipy-free worked examples as oracles."""

import numpy as np
import pytest

from deeplens_dof.evaluate.metrics import (
    absolute_relative,
    aligned_inverse_depth,
    boundary_f1,
    depth_metrics,
    ranks,
    spearman,
    within_factor,
)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(5).random((40, 50)) + 0.2


def test_ties_share_their_mean_rank():
    np.testing.assert_array_equal(ranks(np.array([10, 20, 20, 5, 20])), [1, 3, 3, 0, 3])


def test_spearman_of_a_worked_example():
    # d = 1, -1, 1, -1, 0: 1 - 6 * 4 / (5 * 24)
    assert spearman(np.array([1, 2, 3, 4, 5]), np.array([2, 1, 4, 3, 5])) == pytest.approx(0.8)


def test_spearman_sees_the_order_only(truth):
    assert spearman(np.exp(3 * truth), truth) == pytest.approx(1)
    assert spearman(-truth, truth) == pytest.approx(-1)
    assert spearman(np.ones_like(truth), truth) == 0
    assert abs(spearman(np.random.default_rng(6).random(truth.shape), truth)) < 0.1


def test_an_affine_copy_is_perfect(truth):
    scores = depth_metrics(5 * truth - 2, truth)
    assert scores.spearman == pytest.approx(1)
    assert scores.absolute_relative == pytest.approx(0, abs=1e-9)
    assert scores.within_1_25 == 1
    assert scores.pixels == truth.size


def test_alignment_is_least_squares(truth):
    predicted = truth + np.random.default_rng(1).normal(0, 0.1, truth.shape)
    scale, shift = np.polyfit(predicted.ravel(), truth.ravel(), 1)
    np.testing.assert_allclose(aligned_inverse_depth(predicted, truth), scale * predicted + shift, atol=1e-9)


def test_relative_errors_are_of_depth_not_of_its_inverse():
    true, predicted = np.array([1.0, 0.5]), np.array([0.5, 0.5])  # 1 m and 2 m, both seen at 2 m
    assert absolute_relative(predicted, true) == pytest.approx(0.5)
    assert within_factor(predicted, true) == 0.5


def test_unknown_pixels_do_not_count(truth):
    spoilt, predicted = truth.copy(), truth.copy()
    spoilt[:5], spoilt[5:8], predicted[8:10] = 0, np.nan, np.inf
    assert depth_metrics(predicted, spoilt).pixels == 30 * 50
    assert depth_metrics(predicted, spoilt).spearman == pytest.approx(1)
    mask = np.zeros(truth.shape, bool)
    mask[:, :10] = True
    assert depth_metrics(truth, truth, mask).pixels == 400


def test_borders_agree_only_at_the_same_place_and_side():
    step = np.where(np.arange(20) < 10, 1.0, 2.0) * np.ones((8, 1))
    assert boundary_f1(step, step) == pytest.approx(0.25)  # one of the four directions has borders
    square = np.pad(np.full((6, 6), 2.0), 5, constant_values=1.0)
    assert boundary_f1(square, square) == pytest.approx(1)
    assert boundary_f1(np.roll(step, 1, axis=1)[:, 1:], step[:, 1:]) == 0
    assert boundary_f1(step[:, ::-1], step) == 0
    ramp = np.interp(np.arange(20), [2, 18], [1, 2]) * np.ones((8, 1))
    assert boundary_f1(ramp, step) < 0.5


def test_what_does_not_fit_is_refused(truth):
    with pytest.raises(ValueError, match="resize one first"):
        depth_metrics(truth[1:], truth)
    with pytest.raises(ValueError, match="only 0 pixels"):
        depth_metrics(truth, np.zeros_like(truth))
