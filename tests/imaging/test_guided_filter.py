"""Laws of the guided filter and of resizing, with an obvious twin of the filter as the oracle."""

import numpy as np
import pytest

from deeplens_dof.imaging.guided_filter import guided_filter, guided_upsample
from deeplens_dof.imaging.resize import resize, resize_picture


@pytest.fixture
def noise() -> np.random.Generator:
    return np.random.default_rng(7)


def plain_guided_filter(values, guide, radius, epsilon):
    """He, Sun, Tang 2013, eq. 19-21, window by window."""
    height, width = values.shape
    slope, offset = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            window = np.s_[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            colours, targets = guide[window].reshape(-1, 3).astype(np.float64), values[window].ravel()
            centred = colours - colours.mean(0)
            covariance = centred.T @ centred / len(colours) + epsilon * np.eye(3)
            slope[y, x] = np.linalg.solve(covariance, centred.T @ (targets - targets.mean()) / len(colours))
            offset[y, x] = targets.mean() - slope[y, x] @ colours.mean(0)
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            window = np.s_[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            out[y, x] = slope[window].mean((0, 1)) @ guide[y, x] + offset[window].mean()
    return out


def test_fast_filter_is_the_definition(noise):
    guide, values = noise.random((23, 31, 3), np.float32), noise.random((23, 31), np.float32)
    expected = plain_guided_filter(values, guide, 3, 1e-2)
    np.testing.assert_allclose(guided_filter(values, guide, 3, 1e-2), expected, atol=2e-5)


def test_a_window_larger_than_the_picture_is_cut(noise):
    guide, values = noise.random((5, 4, 3), np.float32), noise.random((5, 4), np.float32)
    expected = plain_guided_filter(values, guide, 9, 1e-2)
    np.testing.assert_allclose(guided_filter(values, guide, 9, 1e-2), expected, atol=2e-5)


def test_a_constant_map_stays_constant_under_any_texture(noise):
    guide = noise.integers(0, 256, (90, 120, 3), np.uint8)
    np.testing.assert_allclose(guided_upsample(np.full((30, 40), 0.37, np.float32), guide), 0.37, atol=1e-5)


def test_a_map_that_is_linear_in_the_guide_comes_back_at_full_size(noise):
    guide = resize_picture(noise.integers(0, 256, (20, 26, 3), np.uint8), 120, 156)
    linear = guide.astype(np.float32) @ np.array([0.2, -0.5, 0.4], np.float32) / 255 + 1
    coarse = resize(linear, 60, 78)
    sharp = guided_upsample(coarse, guide, radius=4, epsilon=1e-6)
    assert np.abs(sharp - linear).max() < 0.25 * np.abs(resize(coarse, 120, 156) - linear).max()


def test_mirrored_guide_and_map_give_the_mirrored_result(noise):
    guide, values = noise.integers(0, 256, (64, 96, 3), np.uint8), noise.random((16, 24), np.float32)
    mirrored = guided_upsample(values[:, ::-1], np.ascontiguousarray(guide[:, ::-1]))
    np.testing.assert_allclose(mirrored[:, ::-1], guided_upsample(values, guide), atol=1e-5)


def test_channels_are_filtered_one_by_one_and_threads_change_nothing(noise):
    guide, values = noise.random((200, 90, 3), np.float32), noise.random((50, 30, 3), np.float32)
    together = guided_upsample(values, guide, threads=1)
    for channel in range(3):
        np.testing.assert_array_equal(
            together[..., channel], guided_upsample(values[..., channel], guide, threads=5)
        )


def test_the_fast_filter_is_near_the_exact_one():
    y, x = np.mgrid[0:200, 0:240].astype(np.float32)
    guide = np.stack(
        [np.sin(x / 40) * 0.3 + 0.5, np.cos(y / 50) * 0.3 + 0.5, (x > 120) * 0.5 + 0.2], -1
    ).astype(np.float32)
    values = (x > 121).astype(np.float32)
    exact, fast = (guided_filter(values, guide, 16, 1e-3, subsampling) for subsampling in (1, 4))
    assert np.abs(exact - fast).mean() < 0.01


def test_resizing_does_not_shift_and_keeps_the_mean(noise):
    ramp = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (30, 1))
    np.testing.assert_allclose(resize(resize(ramp, 90, 120), 30, 40)[:, 2:-2], ramp[:, 2:-2], atol=1e-3)
    values = noise.random((60, 80), np.float32)
    assert resize(values, 15, 20).mean() == pytest.approx(values.mean(), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "guide", "options", "sentence"),
    [
        (np.zeros((4, 4)), np.zeros((8, 8), np.uint8), {}, "guide is uint8"),
        (np.zeros((4, 4)), np.zeros((8, 8, 3), np.float64), {}, "guide is float64"),
        (np.zeros(4), np.zeros((8, 8, 3), np.uint8), {}, "map has shape"),
        (np.zeros((4, 4)), np.zeros((8, 8, 3), np.uint8), {"radius": 0}, "radius is 0"),
        (np.zeros((4, 4)), np.zeros((8, 8, 3), np.uint8), {"epsilon": 0.0}, "epsilon is 0"),
        (np.zeros((4, 4)), np.zeros((8, 8, 3), np.uint8), {"epsilon": float("nan")}, "epsilon is nan"),
    ],
)
def test_what_does_not_fit_is_refused(values, guide, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        guided_upsample(values, guide, **options)
