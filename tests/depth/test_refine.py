"""Laws of the border refinement: steps go to the picture's edges, and nothing else changes."""

import numpy as np
import pytest

from deeplens_dof.depth.refine import FROM_SENSOR, refine
from deeplens_dof.imaging.resize import resize

HEIGHT, WIDTH = 300, 400
COARSE = (150, 200)


def blurred(values: np.ndarray, radius: int) -> np.ndarray:
    """Mean over a square window: the ramp that a network leaves at a border."""
    kernel = np.ones(2 * radius + 1) / (2 * radius + 1)
    for axis in (0, 1):
        padded = np.pad(values, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        values = np.apply_along_axis(np.convolve, axis, padded, kernel, mode="valid")
    return values.astype(np.float32)


def disc() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (x - 190) ** 2 + (y - 150) ** 2 < 80**2


def painted(near: np.ndarray, noise: float = 6.0) -> np.ndarray:
    """A warm subject on a cold background, both grainy."""
    colour = np.where(near[..., None], (190, 120, 80), (70, 100, 130))
    grain = np.random.default_rng(1).normal(0, noise, colour.shape)
    return np.clip(colour + grain, 0, 255).astype(np.uint8)


def coarse_disc() -> np.ndarray:
    return blurred(resize(np.where(disc(), 0.9, 0.1).astype(np.float32), *COARSE), 5)


def test_a_soft_step_becomes_hard_and_lies_on_the_edge():
    near, coarse = disc(), coarse_disc()
    refined = refine(coarse, painted(near))
    truth = np.where(near, 0.9, 0.1)
    before = np.abs(resize(coarse, HEIGHT, WIDTH) - truth) > 0.1
    after = np.abs(refined - truth) > 0.1
    assert before.mean() > 0.05
    assert after.mean() < 0.1 * before.mean()
    row = refined[150]
    assert ((row > 0.2) & (row < 0.8)).sum() <= 4  # two borders


def test_a_step_drawn_in_the_wrong_place_moves_to_the_edge():
    near = disc()
    coarse = np.roll(coarse_disc(), 3, axis=1)  # 6 px of the photo
    refined = refine(coarse, painted(near))
    assert np.mean((refined > 0.5) != near) < 0.25 * np.mean((resize(coarse, HEIGHT, WIDTH) > 0.5) != near)


def test_texture_is_not_copied_into_flat_depth():
    checks = (np.add.outer(np.arange(HEIGHT) // 9, np.arange(WIDTH) // 9) % 2).astype(bool)
    flat = np.full(COARSE, 0.4, np.float32)
    np.testing.assert_allclose(refine(flat, painted(checks)), 0.4, atol=1e-6)


def test_texture_is_not_copied_into_a_sloping_floor():
    checks = (np.add.outer(np.arange(HEIGHT) // 9, np.arange(WIDTH) // 9) % 2).astype(bool)
    floor = np.repeat(np.linspace(0, 1, COARSE[0], dtype=np.float32)[:, None], COARSE[1], axis=1)
    np.testing.assert_allclose(refine(floor, painted(checks)), resize(floor, HEIGHT, WIDTH), atol=1e-3)


def test_texture_far_from_a_step_leaves_the_depth_alone():
    near, coarse = disc(), coarse_disc()
    picture = painted(near)
    picture[:, 330:] = np.where(np.indices((HEIGHT, 70)).sum(0)[..., None] % 8 < 4, 255, 0)
    np.testing.assert_allclose(refine(coarse, picture)[:, 330:], 0.1, atol=1e-6)


def test_without_an_edge_in_the_picture_the_step_stays_where_it_was():
    grey = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    refined = refine(coarse_disc(), grey)
    assert np.mean((refined > 0.5) != disc()) < 0.012


def test_no_value_leaves_the_range():
    coarse = coarse_disc() * 3 + 2
    refined = refine(coarse, painted(disc(), noise=40))
    assert refined.min() >= coarse.min()
    assert refined.max() <= coarse.max()


def test_scale_and_shift_of_the_depth_do_not_matter():
    coarse, picture = coarse_disc(), painted(disc())
    np.testing.assert_allclose(refine(coarse * 5 + 1, picture), refine(coarse, picture) * 5 + 1, atol=2e-3)


def test_a_mirrored_photo_gives_the_mirrored_depth():
    coarse, picture = coarse_disc(), painted(disc())
    mirrored = refine(np.ascontiguousarray(coarse[:, ::-1]), np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]
    different = np.abs(mirrored - refine(coarse, picture)) > 0.02
    assert different.mean() < 0.002


def test_the_number_of_threads_changes_nothing():
    coarse, picture = coarse_disc(), painted(disc())
    np.testing.assert_array_equal(refine(coarse, picture, threads=1), refine(coarse, picture, threads=3))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (40, 60), (151, 199), (700, 930)])
def test_any_size_of_photo(size):
    refined = refine(coarse_disc(), np.zeros((*size, 3), np.uint8))
    assert refined.shape == size
    assert refined.dtype == np.float32
    assert np.isfinite(refined).all()


def test_measured_depth_keeps_its_borders_and_gains_the_photos():
    near = disc()
    coarse = blurred(resize(np.where(near, 2.0, 0.5).astype(np.float32), 75, 100), 1)
    refined = refine(coarse, painted(near), FROM_SENSOR)
    truth = np.where(near, 2.0, 0.5)
    assert np.abs(refined - truth).mean() < 0.5 * np.abs(resize(coarse, HEIGHT, WIDTH) - truth).mean()
