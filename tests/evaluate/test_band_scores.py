"""Scores of a matte in the open band of a trimap."""

import numpy as np
import pytest

from deeplens_dof.evaluate.depth.matte import band_scores

ROWS, COLUMNS = np.mgrid[:60, :80].astype(np.float64)
BAND = (COLUMNS > 20) & (COLUMNS < 60)


def test_the_truth_scores_nothing():
    scores = band_scores(COLUMNS / 79, COLUMNS / 79, BAND)
    assert (scores.sad, scores.mse, scores.gradient, scores.mean_difference) == (0, 0, 0, 0)


def test_a_difference_counts_in_the_band_alone():
    truth = np.full(BAND.shape, 0.5)
    scores = band_scores(truth + 0.1 * BAND + 0.4 * ~BAND, truth, BAND)
    assert scores.mean_difference == pytest.approx(0.1)
    assert scores.mse == pytest.approx(10)
    assert scores.sad == pytest.approx(0.1 * BAND.sum() / 1000)


@pytest.mark.parametrize("plane", [COLUMNS, ROWS])
def test_the_gradient_error_is_that_of_the_slope(plane):
    """Against a flat matte, a slope of s per pixel costs s squared in every pixel, whatever its direction."""
    scores = band_scores(0.01 * plane, np.zeros(BAND.shape), BAND & (ROWS > 8) & (ROWS < 50))
    count = (BAND & (ROWS > 8) & (ROWS < 50)).sum()
    assert scores.gradient == pytest.approx(1e-4 * count / 1000, rel=0.02)


def test_shapes_that_do_not_fit_and_an_empty_band_are_refused():
    with pytest.raises(ValueError, match="expected one shape"):
        band_scores(np.zeros((4, 4)), np.zeros((4, 5)), np.ones((4, 4), bool))
    with pytest.raises(ValueError, match="at least one pixel in the band"):
        band_scores(np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 4), bool))
