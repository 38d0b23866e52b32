"""Laws of the held subject: whole where it occludes, let go where it stands on something, nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplens_dof.depth.subject_hold import flattened, subject_weight

HEIGHT, WIDTH = 240, 320
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) / np.array([HEIGHT, WIDTH], np.float32)[:, None, None]
MIDDLE = (0.5, 0.5)


def ellipse(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
    return ((X - x) / half_width) ** 2 + ((Y - y) / half_height) ** 2 < 1


def with_relief(mask: np.ndarray, depth: float, relief: float, rest: np.ndarray | float = 0.1) -> np.ndarray:
    """A thing of that depth, whose upper half is farther and whose lower half nearer by `relief`."""
    return np.where(mask, depth + relief * np.clip((Y - 0.5) / 0.3, -1, 1), rest).astype(np.float32)


def held(depth: np.ndarray, matte: np.ndarray, point=MIDDLE, measured=False, strength=1.0) -> np.ndarray:
    weight = subject_weight(depth, matte.astype(np.float32), point, 1.0, measured)
    assert weight is not None
    return flattened(depth, weight, strength)


STANDING = ellipse(0.5, 0.5, 0.15, 0.3)


@pytest.mark.parametrize("relief", [0.0, 0.05, 0.15, 0.25])
def test_a_subject_before_a_far_wall_is_held_up_to_its_border(relief):
    depth = with_relief(STANDING, 0.6, relief)
    out = held(depth, STANDING)
    centre = out[HEIGHT // 2, WIDTH // 2]
    assert abs(centre - 0.6) < 0.02
    np.testing.assert_allclose(out[STANDING], centre, atol=0.02)


def test_outside_the_subject_every_bit_stays():
    rng = np.random.default_rng(1)
    wall = (0.1 + 0.05 * rng.random((HEIGHT, WIDTH))).astype(np.float32)
    depth = with_relief(STANDING, 0.6, 0.2, wall)
    out = held(depth, STANDING)
    assert np.array_equal(out[~STANDING], depth[~STANDING])


@given(st.floats(0, 1), st.floats(0, 0.3))
@settings(max_examples=15, deadline=None)
def test_the_strength_scales_the_relief_that_is_taken_out(strength: float, relief: float):
    depth = with_relief(STANDING, 0.6, relief)
    whole, part = held(depth, STANDING), held(depth, STANDING, strength=strength)
    np.testing.assert_allclose(part, depth + strength * (whole - depth), atol=1e-5)


def test_without_strength_nothing_changes():
    depth = with_relief(STANDING, 0.6, 0.2)
    assert held(depth, STANDING, strength=0.0) is depth


def test_held_depth_lies_between_what_it_was_and_the_depth_of_the_subject():
    rng = np.random.default_rng(2)
    depth = with_relief(STANDING, 0.6, 0.2, rng.random((HEIGHT, WIDTH)).astype(np.float32))
    matte = np.clip(STANDING + 0.3 * rng.standard_normal((HEIGHT, WIDTH)), 0, 1)
    out = held(depth, matte)
    centre = subject_weight(depth, matte.astype(np.float32), MIDDLE, 1.0).centre
    low, high = np.minimum(depth, centre), np.maximum(depth, centre)
    assert ((out >= low - 1e-6) & (out <= high + 1e-6)).all()


def standing_on_ground() -> tuple[np.ndarray, np.ndarray]:
    """Someone on a ground that comes nearer towards the lower border; the feet have the depth of the ground there."""
    ground = (0.15 + 0.85 * np.clip((Y - 0.45) / 0.55, 0, 1)).astype(np.float32)
    person = ellipse(0.5, 0.5, 0.1, 0.3)
    return np.where(person, 0.6 + 0.3 * np.clip(Y - 0.5, -0.2, 0.3), ground).astype(np.float32), person


def test_feet_are_let_go_without_a_step_where_the_ground_begins():
    depth, person = standing_on_ground()
    out = held(depth, person)
    column = WIDTH // 2
    feet = int(np.flatnonzero(person[:, column]).max())
    step_before = abs(float(depth[feet + 1, column] - depth[feet, column]))
    assert step_before < 0.01  # the scene is what it says
    change = np.abs(out - depth)[~person]
    assert (change > 0).mean() < 0.002  # but for the corners where a step ends
    assert change.max() < 0.05
    for above, below in zip(
        out[feet - 12 : feet + 6, column], out[feet - 11 : feet + 7, column], strict=True
    ):
        assert abs(float(below - above)) < 0.04 + step_before
    assert np.abs(out[person] - 0.6).mean() < 0.25 * np.abs(depth[person] - 0.6).mean()


def test_only_the_last_of_a_foot_is_let_go():
    depth, person = standing_on_ground()
    out = held(depth, person)
    rows = np.flatnonzero(person[:, WIDTH // 2])
    inner = rows[: -int(0.04 * WIDTH)]
    np.testing.assert_allclose(out[inner, WIDTH // 2], out[HEIGHT // 2, WIDTH // 2], atol=0.02)


def test_of_two_people_at_clearly_different_distances_each_keeps_its_own():
    left, right = ellipse(0.4, 0.5, 0.12, 0.3), ellipse(0.58, 0.55, 0.12, 0.35)
    depth = np.where(right, 0.85 + 0.1 * (Y - 0.5), np.where(left, 0.45 + 0.1 * (Y - 0.5), 0.1)).astype(
        np.float32
    )
    matte = left | right
    for point, mine, other in (((0.36, 0.5), left & ~right, right), ((0.6, 0.55), right, left & ~right)):
        out = held(depth, matte, point)
        own = out[int(point[1] * HEIGHT), int(point[0] * WIDTH)]
        np.testing.assert_allclose(out[mine], own, atol=0.03)
        np.testing.assert_allclose(out[other], depth[other], atol=1e-6)


def test_two_people_at_one_distance_are_held_together():
    left, right = ellipse(0.4, 0.5, 0.12, 0.3), ellipse(0.58, 0.5, 0.12, 0.3)
    both = left | right
    out = held(with_relief(both, 0.6, 0.1), both, (0.36, 0.5))
    np.testing.assert_allclose(out[both], out[HEIGHT // 2, int(0.36 * WIDTH)], atol=0.03)


def test_background_seen_through_a_gap_is_not_held():
    gap = ellipse(0.5, 0.42, 0.03, 0.1)
    person = STANDING & ~gap
    depth = with_relief(person, 0.6, 0.1)
    coarse_matte = np.clip(STANDING * 0.9 - gap * 0.8, 0, 1)
    out = held(depth, coarse_matte, (0.5, 0.65))
    np.testing.assert_allclose(out[gap], depth[gap], atol=0.02)


def test_a_matte_beyond_the_border_holds_no_strip_of_the_background():
    depth = with_relief(STANDING, 0.6, 0.1)
    out = held(depth, ellipse(0.5, 0.5, 0.17, 0.33))
    np.testing.assert_allclose(out[~STANDING], depth[~STANDING], atol=0.01)


def test_hair_is_let_go_as_its_matte_grows_softer():
    softness = np.clip((0.5 - Y) / 0.2, 0, 1)  # from the middle up to the top of the head
    depth = with_relief(STANDING, 0.6, 0.2)
    out = held(depth, STANDING * (1 - 0.7 * softness))
    column = out[:, WIDTH // 2]
    rows = np.flatnonzero(STANDING[:, WIDTH // 2])
    np.testing.assert_allclose(column[HEIGHT // 2 : rows[-1] - 8], 0.6, atol=0.02)
    assert np.array_equal(column[rows[:8]], depth[rows[:8], WIDTH // 2])
    assert np.abs(np.diff(column[rows])).max() < 0.03


def test_measured_relief_stays_but_for_its_noise():
    rng = np.random.default_rng(3)
    noise = 0.004 * rng.standard_normal((HEIGHT, WIDTH))
    depth = (with_relief(STANDING, 0.6, 0.2) + noise * STANDING).astype(np.float32)
    out = held(depth, STANDING, measured=True)
    inside = ellipse(0.5, 0.5, 0.1, 0.25)
    change = np.abs(out - depth)[inside]
    assert 0.004 < change.max() < 0.03
    flat = (with_relief(STANDING, 0.6, 0.0) + noise * STANDING).astype(np.float32)
    still = held(flat, STANDING, measured=True)[inside]
    assert np.abs(still - np.median(still)).max() < 0.5 * np.abs(noise[inside]).max()


def test_scale_shift_and_mirror_image():
    depth = with_relief(STANDING, 0.6, 0.2)
    out = held(depth, STANDING)
    weight = subject_weight(depth * 5 + 3, STANDING.astype(np.float32), MIDDLE, 5.0)
    np.testing.assert_allclose(flattened(depth * 5 + 3, weight), out * 5 + 3, atol=1e-4)
    mirrored = held(depth[:, ::-1].copy(), STANDING[:, ::-1])
    np.testing.assert_allclose(mirrored[:, ::-1], out, atol=0.02)


def test_the_weight_holds_at_any_size_and_for_any_number_of_threads():
    depth = with_relief(STANDING, 0.6, 0.2)
    weight = subject_weight(depth, STANDING.astype(np.float32), MIDDLE, 1.0)
    large = np.kron(depth, np.ones((3, 3), np.float32))
    inside = np.kron(ellipse(0.5, 0.5, 0.13, 0.28), np.ones((3, 3))) > 0
    np.testing.assert_allclose(flattened(large, weight)[inside], weight.centre, atol=0.02)
    assert np.array_equal(flattened(large, weight, threads=1), flattened(large, weight, threads=3))


@pytest.mark.parametrize(
    ("matte", "expected_none"),
    [(np.zeros((HEIGHT, WIDTH)), True), (np.full((HEIGHT, WIDTH), np.nan), True), (~STANDING, True)],
    ids=["nothing", "NaN", "elsewhere"],
)
def test_a_point_beside_the_matte_holds_nothing(matte, expected_none):
    depth = with_relief(STANDING, 0.6, 0.2)
    assert (subject_weight(depth, matte.astype(np.float32), MIDDLE, 1.0) is None) == expected_none


def test_where_everything_is_matte_steps_still_part_things():
    depth = with_relief(STANDING, 0.6, 0.1)
    out = held(depth, np.ones((HEIGHT, WIDTH)))
    np.testing.assert_allclose(out[STANDING], out[HEIGHT // 2, WIDTH // 2], atol=0.03)
    np.testing.assert_allclose(out[~STANDING], depth[~STANDING], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2), (700, 40)])
def test_any_size(size):
    values = np.random.default_rng(4).random(size, np.float32)
    weight = subject_weight(values, np.ones(size, np.float32), MIDDLE, 1.0)
    if weight is not None:
        out = flattened(values, weight)
        assert out.shape == size
        assert np.isfinite(out).all()
