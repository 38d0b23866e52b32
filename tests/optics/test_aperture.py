"""Laws of the aperture: its definition is `density`; the lens points stand for it."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.optics.aperture_spec import ALSO, SHAPES, parse_shape, shape_text

DENSE = 401  # samples a side of the exact integrals
X, Y = np.meshgrid(*[np.linspace(-1, 1, DENSE)] * 2)


def heart() -> np.ndarray:
    """A picture off its own centre, with levels of grey."""
    y, x = np.mgrid[:180, :200]
    u, v = (x - 90) / 70, (105 - y) / 70
    inside = (u * u + v * v - 1) ** 3 - u * u * v**3 < 0
    return np.where(inside, 0.4 + 0.6 * x / 200, 0)


SHAPE = {
    "disc": Aperture.disc(),
    "triangle": Aperture.blades(3),
    "five blades turned": Aperture.blades(5, 0.0, 10),
    "seven round blades": Aperture.blades(7, 0.4),
    "ring": Aperture.ring(0.5),
    "thin ring": Aperture.ring(0.85),
    "cat's eye": Aperture.cat_eye(),
    "anamorphic": Aperture.anamorphic(2),
    "lying": Aperture.anamorphic(0.75),
    "star": Aperture.star(),
    "six thin points": Aperture.star(6, 0.3),
    "built-in heart": Aperture.heart(),
    "heart": Aperture.kernel(heart()),
}
shapes = pytest.mark.parametrize("aperture", SHAPE.values(), ids=SHAPE)
counts = pytest.mark.parametrize("count", [32, 128, 384])


def moments(aperture: Aperture) -> tuple[np.ndarray, np.ndarray]:
    """Centre and covariance of the light, by a sum over the square."""
    light = aperture.density(X, Y)
    light = light / light.sum()
    mean = np.array([(light * X).sum(), (light * Y).sum()])
    dx, dy = X - mean[0], Y - mean[1]
    return mean, np.array([[(light * a * b).sum() for a in (dx, dy)] for b in (dx, dy)])


def worst_half_plane(aperture: Aperture, points: np.ndarray) -> float:
    """The largest difference between the share of light and the share of points beyond any straight line."""
    light = aperture.density(X, Y)
    lit = light > 0
    weight = light[lit] / light.sum()
    worst = 0.0
    for angle in np.linspace(0, math.pi, 13, endpoint=False) + 0.01:
        along = X[lit] * math.cos(angle) + Y[lit] * math.sin(angle)
        order = np.argsort(along)
        share = np.cumsum(weight[order])
        at = np.linspace(-1.2, 1.2, 200)
        exact = np.interp(at, along[order], share, 0, 1)
        seen = np.searchsorted(np.sort(points @ [math.cos(angle), math.sin(angle)]), at) / len(points)
        worst = max(worst, float(np.abs(exact - seen).max()))
    return worst


@shapes
@counts
def test_points_have_the_moments_of_the_light(aperture: Aperture, count: int) -> None:
    points = aperture.points(count)
    assert (points.shape, points.dtype) == ((count, 2), np.float32)
    assert np.abs(points).max() <= 1
    assert np.abs(points.mean(0, dtype=np.float64)).max() < 1e-7
    mean, covariance = moments(aperture)
    assert np.abs(mean).max() < 5e-3
    tolerance = 0.05 if count < 100 else 0.02
    assert np.abs(points.T.astype(float) @ points / count - covariance).max() < tolerance * covariance.max()


@shapes
@counts
def test_points_lie_inside_within_a_hundredth(aperture: Aperture, count: int) -> None:
    x, y = aperture.points(count).T
    turns = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    near = [aperture.density(x + 0.01 * math.cos(t), y + 0.01 * math.sin(t)) for t in turns]
    assert (np.max([aperture.density(x, y), *near], 0) > 0).all()


@shapes
@counts
def test_points_are_far_more_even_than_chance(aperture: Aperture, count: int) -> None:
    random = np.random.default_rng(1)
    candidates = random.uniform(-1, 1, (40 * count, 2))
    kept = candidates[random.random(len(candidates)) < aperture.density(*candidates.T)][:count]
    assert len(kept) == count
    assert worst_half_plane(aperture, aperture.points(count)) < 0.7 * worst_half_plane(aperture, kept)
    assert worst_half_plane(aperture, aperture.points(count)) < 1.1 * count**-0.66


@shapes
def test_no_two_points_fall_together(aperture: Aperture) -> None:
    points = aperture.points(256).astype(float)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(256)
    assert distance.min() > 0.3 * math.sqrt(aperture.area * math.pi / 256)


@shapes
def test_the_same_points_come_every_time_and_belong_to_the_caller(aperture: Aperture) -> None:
    first = aperture.points(64)
    first[:] = 7
    again = pickle.loads(pickle.dumps(aperture))
    assert np.array_equal(aperture.points(64), again.points(64))
    assert np.abs(aperture.points(64)).max() <= 1
    assert again == aperture
    assert hash(again) == hash(aperture)


def test_the_disc_has_a_sunflower_s_points() -> None:
    index = np.arange(100) + 0.5
    radius, angle = np.sqrt(index / 100), index * math.pi * (3 - math.sqrt(5))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    assert np.allclose(Aperture.disc().points(100), points - points.mean(0), atol=1e-6)


def test_round_shapes_are_the_disc() -> None:
    for aperture in (
        Aperture.blades(6, 1.0, 20),
        Aperture.ring(0),
        Aperture.cat_eye(0),
        Aperture.anamorphic(1),
    ):
        assert aperture == Aperture.disc()
        assert aperture.is_disc
    assert not any(aperture.is_disc for name, aperture in SHAPE.items() if name != "disc")
    almost = Aperture.blades(5, 1 - 1e-9).density(X, Y)
    assert (almost != Aperture.disc().density(X, Y)).mean() < 1e-3


def test_blades_have_their_corners_on_the_circle_the_first_at_the_top() -> None:
    for count in (3, 5, 6, 9):
        for turn in (0, 25):
            aperture = Aperture.blades(count, 0, turn)
            angle = math.radians(turn) - math.pi / 2 + 2 * math.pi * np.arange(count) / count
            assert (aperture.density(0.999 * np.cos(angle), 0.999 * np.sin(angle)) == 1).all()
            between, apothem = angle + math.pi / count, math.cos(math.pi / count)
            for radius, open_ in ((apothem - 1e-3, 1), (apothem + 1e-3, 0)):
                assert (aperture.density(radius * np.cos(between), radius * np.sin(between)) == open_).all()
    areas = [Aperture.blades(6, rounding).area for rounding in (0, 0.3, 0.6, 0.9)]
    assert areas[0] == pytest.approx(6 * math.sin(math.pi / 3) / 2 / math.pi, rel=2e-3)
    assert areas == sorted(areas)
    assert areas[-1] < 1


def test_the_ring_has_its_hole_and_the_ellipse_its_axes() -> None:
    assert Aperture.ring(0.6).density([0, 0.59, 0.61, 0.99, 1.01], 0).tolist() == [0, 0, 1, 1, 0]
    assert Aperture.ring(0.6).area == pytest.approx(1 - 0.36, rel=2e-3)
    assert np.hypot(*Aperture.ring(0.6).points(256).T).min() > 0.59
    tall = Aperture.anamorphic(2)
    assert tall.density([0.49, 0.51, 0, 0], [0, 0, 0.99, 1.01]).tolist() == [1, 0, 1, 0]


def test_a_kernel_is_its_picture_round_its_centre_of_light() -> None:
    image = np.zeros((8, 8))
    image[2:6, 3:5] = 2.0
    image[2:6, 3] = 1.0
    aperture = Aperture.kernel(image)
    centre = (3.5 * 1 + 4.5 * 2) / 3 - 4
    for column, weight in ((3, 0.5), (4, 1.0)):
        x = (column + 0.5 - 4 - centre) / 4
        assert aperture.density(x, [-0.49, 0.49]).tolist() == [weight, weight]
        assert aperture.density(x, [-0.51, 0.51]).tolist() == [0, 0]
    bytes_ = Aperture.kernel((image * 127).astype(np.uint8))
    assert np.allclose(bytes_.density(X, Y), aperture.density(X, Y), atol=0.01)
    alpha = np.dstack([np.ones((8, 8, 3)), image])
    assert np.allclose(Aperture.kernel(alpha).density(X, Y), aperture.density(X, Y))
    assert Aperture.kernel(np.ones((6, 3))).density([0.49, 0.51], 0.99).tolist() == [1, 0]
    corner = np.zeros((9, 9))
    corner[0, 0] = corner[0, 1] = corner[8, 8] = 1.0
    assert np.abs(Aperture.kernel(corner).points(64)).max() <= 1


def test_large_kernels_are_averaged() -> None:
    y, x = np.mgrid[:1100, :900]
    disc = np.hypot(x - 449.5, y - 549.5) < 440
    aperture = Aperture.kernel(disc)
    assert aperture.grid is not None
    assert max(aperture.grid.rows, aperture.grid.columns) <= 256
    assert aperture.area == pytest.approx((440 / 550) ** 2, rel=0.02)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4)), "is black"),
        (np.full((4, 4), -1.0), "negative"),
        (np.full((4, 4), np.nan), "finite"),
        (np.ones(4), "shape"),
        (np.ones((4, 4, 2)), "shape"),
        (np.ones((0, 4)), "shape"),
        (np.array([["a"]]), "type"),
    ],
)
def test_pictures_that_are_no_aperture_are_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=f"the aperture's picture .*{words}.*"):
        Aperture.kernel(image)


def test_vignetting_closes_the_lens_alike_from_both_sides() -> None:
    aperture = Aperture.cat_eye()
    points = aperture.points(2000)
    assert aperture.vignetting == 0.5
    assert Aperture.cat_eye(0.4).vignetting == pytest.approx(0.2)
    assert np.allclose(aperture.open_share(points, (0, 0)), 1, atol=0.6)
    corner = np.array([0.8, 0.6])
    share = aperture.open_share(points, corner)
    assert np.abs(share @ points / share.sum()).max() < 2e-3
    lens = (2 * math.acos(0.5) - 0.5 * math.sqrt(3)) / math.pi  # of two discs whose centres are 1 apart
    assert share.mean() == pytest.approx(lens, rel=0.02)
    assert aperture.open_share(points, np.zeros((4, 5, 2))).shape == (4, 5, 2000)
    across, along = points @ [-0.6, 0.8], points @ corner
    seen = share > 0.5
    assert np.abs(along[seen]).max() == pytest.approx(0.5, abs=0.04)
    assert np.abs(across[seen]).max() == pytest.approx(math.sqrt(0.75), abs=0.06)
    for other in (Aperture.disc(), Aperture.ring()):
        assert (other.open_share(points, corner) == 1).all()


@pytest.mark.parametrize(
    "text",
    [
        "disc",
        "blades:5",
        "blades:7:0.25",
        "blades:9:0:15",
        "ring:0.3",
        "cat-eye:0.5",
        "anamorphic:1.33",
        "ring",
        "star",
        "star:6:0.3",
        "heart",
    ],
)
def test_a_shape_is_its_text(text: str) -> None:
    aperture = Aperture.parse(text)
    assert str(aperture) == text
    assert Aperture.parse(str(aperture)) == aperture
    named = parse_shape(f" {text.upper()} ")
    assert named is not None
    assert shape_text(*named) == text


def test_defaults_of_the_text_are_those_of_the_constructors() -> None:
    assert Aperture.parse("ring") == Aperture.ring()
    assert Aperture.parse("cat-eye") == Aperture.cat_eye()
    assert Aperture.parse("blades:8") == Aperture.blades(8)
    assert Aperture.parse("star") == Aperture.star()
    assert set(SHAPES) == {"disc", "blades", "ring", "cat-eye", "anamorphic", "star", "heart"}


def test_everyday_names_stand_for_shapes() -> None:
    assert Aperture.parse("Hexagon") == Aperture.blades(6)
    assert Aperture.parse("round") == Aperture.disc()
    assert Aperture.parse(" hearts ") == Aperture.heart()
    assert all(parse_shape(text) is not None for text in ALSO.values())


def test_star_and_heart_stand_upright_behind_the_focus() -> None:
    """There a point of light is drawn turned by 180 degrees, so above is y > 0 of the lens."""
    for aperture in (Aperture.star(), Aperture.heart()):
        light = aperture.density(X, Y)
        widest = Y[light.sum(1).argmax(), 0]
        assert widest > 0.05, aperture
    assert Aperture.star().density(0, 0.98) == 1 == Aperture.heart().density(0, -0.98)
    assert Aperture.star().density(0, -0.98) == 0 == Aperture.heart().density(0, 0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hart", "shape is 'hart', did you mean heart"),
        ("blob", "shape is 'blob', expected disc, hexagon"),
        ("", "shape is '', expected disc"),
        ("blades", "without its count, expected a whole number from 3 to 32; say blades:3"),
        ("anamorphic", "without its ratio"),
        ("blades:2", "with count '2', expected a whole number from 3 to 32"),
        ("blades:5.5", "with count '5.5'"),
        ("blades:5:2", "with rounding '2', expected a number from 0 to 1"),
        ("blades:5:0:nan", "with rotation_deg 'nan'"),
        ("ring:1", "with inner '1', expected a number from 0 to 0.95"),
        ("ring:", "with inner ''"),
        ("disc:1", "expected at most 0 numbers after disc"),
        ("anamorphic:9", "with ratio '9'"),
        ("heart.png", "is the file 'heart.png'"),
        (None, "shape is None"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Aperture.parse(text)


def test_wrong_numbers_are_refused_in_a_sentence() -> None:
    for make in (
        lambda: Aperture.blades(2),
        lambda: Aperture.blades(5, -0.1),
        lambda: Aperture.ring(math.nan),
        lambda: Aperture.cat_eye(2),
        lambda: Aperture.anamorphic(True),
        lambda: Aperture("kernel"),
        lambda: Aperture("flower"),
    ):
        with pytest.raises(ValueError, match=r"expected"):
            make()
    with pytest.raises(ValueError, match="0 lens points"):
        Aperture.ring().points(0)
