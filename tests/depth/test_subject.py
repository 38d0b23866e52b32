"""Laws of the default focus: the nearest large thing about the centre, a point well inside it."""

import numpy as np
import pytest

from deeplens_dof.depth.subject import border_distance, depth_at, subject_point

HEIGHT, WIDTH = 240, 320
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]


def scene(*things: tuple[float, float, float, float], floor: float = 0.0) -> np.ndarray:
    """A far wall and things (x, y, radius, inverse depth); the floor rises to `floor` at the lower edge."""
    depth = np.maximum(0, (Y - 0.5) * 2 * floor)
    for x, y, radius, value in things:
        depth[(X - x) ** 2 + ((Y - y) * HEIGHT / WIDTH) ** 2 < radius**2] = value
    return depth.astype(np.float32)


def is_on(point: tuple[float, float], thing: tuple[float, float, float, float]) -> bool:
    x, y, radius, _ = thing
    return (point[0] - x) ** 2 + ((point[1] - y) * HEIGHT / WIDTH) ** 2 < (0.8 * radius) ** 2


@pytest.mark.parametrize("place", [(0.5, 0.5), (0.3, 0.4), (0.65, 0.55), (0.4, 0.3)])
def test_one_thing_is_found_wherever_it_is(place):
    thing = (*place, 0.12, 0.8)
    assert is_on(subject_point(scene(thing)), thing)


def test_the_nearer_of_two_things_of_one_size_wins():
    near, far = (0.35, 0.5, 0.12, 0.9), (0.65, 0.5, 0.12, 0.4)
    assert is_on(subject_point(scene(near, far)), near)


def test_the_central_one_of_two_things_of_one_depth_wins():
    central, aside = (0.5, 0.5, 0.12, 0.8), (0.9, 0.8, 0.12, 0.8)
    assert is_on(subject_point(scene(central, aside)), central)


def test_a_speck_before_the_subject_does_not_win():
    subject, speck = (0.5, 0.5, 0.15, 0.7), (0.62, 0.2, 0.015, 1.0)
    assert is_on(subject_point(scene(subject, speck)), subject)


def test_a_near_floor_is_not_the_subject():
    subject = (0.5, 0.45, 0.12, 0.6)
    assert is_on(subject_point(scene(subject, floor=1.0)), subject)


def test_the_point_is_never_at_the_border_of_a_ring():
    depth = scene((0.5, 0.5, 0.25, 0.9))
    depth[scene((0.5, 0.5, 0.15, 1.0)) > 0] = 0
    x, y = subject_point(depth)
    from_centre = np.hypot(x - 0.5, (y - 0.5) * HEIGHT / WIDTH)
    assert 0.17 < from_centre < 0.23


def test_a_mirrored_scene_has_the_mirrored_subject():
    depth = scene((0.35, 0.5, 0.12, 0.9), floor=0.5)
    x, y = subject_point(depth)
    mirrored_x, mirrored_y = subject_point(np.ascontiguousarray(depth[:, ::-1]))
    assert mirrored_x == pytest.approx(1 - x, abs=0.02)
    assert mirrored_y == pytest.approx(y, abs=0.02)


def test_scale_and_shift_of_the_depth_do_not_matter():
    depth = scene((0.35, 0.5, 0.12, 0.9), (0.7, 0.4, 0.1, 0.5))
    assert subject_point(depth * 7 + 3) == subject_point(depth)


def test_the_matte_decides_between_equals():
    left, right = (0.3, 0.45, 0.12, 0.8), (0.7, 0.45, 0.12, 0.8)
    for thing in (left, right):
        assert is_on(subject_point(scene(left, right), scene((*thing[:3], 1.0))), thing)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2), (400, 20)])
def test_any_size_gives_a_point_within(size):
    values = np.random.default_rng(0).random(size, np.float32)
    for depth in (values, np.zeros(size, np.float32), np.ones(size, np.float32)):
        assert all(0 < c < 1 for c in subject_point(depth))


def test_a_constant_map_gives_the_centre():
    assert subject_point(np.full((60, 80), 0.3, np.float32)) == (0.5, 0.5)


def test_depth_under_a_point_is_the_thing_under_it():
    depth = scene((0.5, 0.5, 0.2, 0.8))
    assert depth_at(depth, (0.5, 0.5)) == pytest.approx(0.8)
    assert depth_at(depth, (0.1, 0.1)) == 0
    assert depth_at(depth, (1.0, 1.0)) == 0


def test_depth_at_a_border_is_the_nearer_one():
    depth = np.zeros((200, 200), np.float32)
    depth[:, 100:] = 0.9
    assert depth_at(depth, (0.4999, 0.5)) == pytest.approx(0.9)
    assert depth_at(depth, (0.47, 0.5)) == 0


def test_a_hot_pixel_does_not_move_the_focus():
    depth = np.full((200, 200), 0.4, np.float32)
    depth[100, 100] = 1.0
    assert depth_at(depth, (0.5025, 0.5025)) == pytest.approx(0.4)


@pytest.mark.parametrize("point", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_points_outside_are_refused(point):
    with pytest.raises(ValueError, match=r"expected \(x, y\) within 0\.\.1"):
        depth_at(np.zeros((4, 4), np.float32), point)


def test_border_distance_counts_from_the_border_inwards():
    region = np.zeros((7, 9), bool)
    region[1:6, 1:8] = True
    distance = border_distance(region)
    assert distance[0].max() == 0
    assert (distance[1, 1:8] == 1).all()
    assert distance[3, 4] == 3
    whole = border_distance(np.ones((5, 5), bool))
    assert whole[2, 2] == whole.max() == 3
