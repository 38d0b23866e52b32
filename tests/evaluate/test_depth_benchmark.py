"""The depth benchmark's protocol on a made set, where the right answer is known."""

import numpy as np
import pytest

from deeplens_dof.evaluate.depth.measured_photos import DepthSet, load_sets, score_set, vertical_position


@pytest.fixture
def step() -> DepthSet:
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[20:40, 30:50] = 255
    return DepthSet("step", rgb, np.where(rgb[..., 0] > 0, 2.0, 0.5), ratios_known=True)


def test_the_truth_scores_full_marks_whatever_its_scale(step):
    scores = score_set(step, lambda rgb: (rgb[..., 0] > 0) * 7.0 + 3)
    assert scores["spearman"] == pytest.approx(1)
    assert scores["absolute_relative"] == pytest.approx(0, abs=1e-6)
    assert scores["boundary_f1"] == pytest.approx(1)
    assert scores["pixels"] == 60 * 80


def test_the_opposite_scores_minus_one(step):
    assert score_set(step, lambda rgb: 1.0 - rgb[..., 0] / 255)["spearman"] == pytest.approx(-1)


def test_unknown_pixels_are_left_out(step):
    truth = step.inverse_depth.copy()
    truth[:30] = np.nan
    scores = score_set(DepthSet("half", step.rgb, truth, True), lambda rgb: rgb[..., 0].astype(float))
    assert scores["pixels"] == 30 * 80


def test_where_only_the_order_is_known_only_the_order_counts(step):
    scores = score_set(
        DepthSet("order", step.rgb, step.inverse_depth, False), lambda rgb: rgb[..., 0].astype(float)
    )
    assert set(scores) == {"spearman", "pixels"}


def test_vertical_position_says_that_lower_is_nearer():
    assert (np.diff(vertical_position(np.zeros((5, 4, 3), np.uint8))[:, 0]) > 0).all()


def test_missing_data_name_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"fetch_evaluation_data\.py"):
        load_sets(tmp_path)
