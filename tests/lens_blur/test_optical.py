"""Laws of the lens blur: what any right implementation does, whatever its inside."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.lens_blur.tiles.block_plan import LARGEST_CELLS, shells_for
from deeplens_dof.lens_blur.tiles.tile_renderer import lens_points_for
from deeplens_dof.optics.aperture import Aperture

HEIGHT, WIDTH = 150, 200


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def two_planes(
    near_px: float, far_px: float, height: int = HEIGHT, width: int = WIDTH
) -> tuple[np.ndarray, np.ndarray]:
    """CoC of a near square before a far wall, and the mask of the square."""
    mask = np.zeros((height, width), bool)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    return np.where(mask, np.float32(near_px), np.float32(far_px)), mask


def test_no_blur_is_the_identity_bit_for_bit() -> None:
    rgb = picture()
    assert np.array_equal(dl.render(rgb, np.zeros((HEIGHT, WIDTH), np.float32)), rgb)


@pytest.mark.parametrize("coc", [0.3, 2.0, 7.0, 19.0, 45.0, -7.0, -45.0])
def test_a_constant_picture_stays_constant(coc: float) -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 0.4, np.float32)
    out = dl.render(rgb, np.full((HEIGHT, WIDTH), coc, np.float32))
    assert np.abs(out - 0.4).max() < 1e-5


def test_a_constant_picture_stays_constant_over_any_depth() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 0.7, np.float32)
    coc = np.random.default_rng(1).normal(0, 9, (HEIGHT // 10, WIDTH // 10)).astype(np.float32)
    out = dl.render(rgb, np.kron(coc, np.ones((10, 10), np.float32)))
    assert np.abs(out - 0.7).max() < 1e-4


@pytest.mark.parametrize("coc", [3.0, 6.5, 12.0, -12.0, 28.0, -40.0])
def test_a_point_of_light_becomes_a_disc_of_its_radius_and_keeps_its_energy(coc: float) -> None:
    rgb = np.zeros((221, 221, 3), np.float32)
    rgb[110, 110] = 100.0
    out = dl.render(rgb, np.full((221, 221), coc, np.float32))[..., 1]
    y, x = np.mgrid[:221, :221] - 110.0
    radius = np.hypot(x, y)
    assert out.sum() == pytest.approx(100.0, rel=0.02)
    assert (out * radius**2).sum() / out.sum() == pytest.approx(
        coc**2 / 2, rel=0.12
    )  # a disc: mean r^2 is R^2 / 2
    assert out[radius > abs(coc) + 0.12 * abs(coc) + 2.5].max() < 0.005 * out.max()
    inside = out[radius < abs(coc) * 0.8 - 1.5]
    assert inside.std() < 0.12 * inside.mean()


def test_the_blur_of_a_plain_surface_is_the_mean_over_the_disc() -> None:
    """Against a direct sum over sub-pixels, away from the picture's border."""
    rgb, coc = picture(3), 5.3
    out = dl.render(rgb, np.full((HEIGHT, WIDTH), coc, np.float32))
    fine = (np.arange(-60, 61) / 10)[:, None], (np.arange(-60, 61) / 10)[None, :]
    inside = fine[0] ** 2 + fine[1] ** 2 <= coc**2
    shift_y, shift_x = (np.floor(f + 0.5).astype(int) for f in np.broadcast_arrays(*fine))
    y, x = 70, 90
    truth = rgb[y + shift_y[inside], x + shift_x[inside]].mean(0)
    assert np.abs(out[y, x] - truth).max() < 0.01


def test_the_blur_grows_smoothly_from_nothing() -> None:
    rgb = picture(4)
    sharpness = [
        float(np.diff(dl.render(rgb, np.full((HEIGHT, WIDTH), c, np.float32))[..., 1], axis=1).std())
        for c in np.linspace(0, 1.5, 13)
    ]
    steps = -np.diff(sharpness)
    assert (steps >= -1e-6).all()
    assert steps.max() < 0.35 * sharpness[0]


@pytest.mark.parametrize("far_px", [-6.0, -14.0, -35.0])
def test_a_sharp_subject_receives_no_light_from_behind(far_px: float) -> None:
    coc, subject = two_planes(0.0, far_px)
    rgb = np.where(subject[..., None], np.float32([0.1, 0.2, 0.1]), np.float32([1, 1, 1])).astype(np.float32)
    out = dl.render(rgb, coc)
    assert np.abs(out[subject] - rgb[subject]).max() < 1e-4


@pytest.mark.parametrize("far_px", [-6.0, -14.0, -35.0])
def test_no_halo_of_the_subject_on_the_background(far_px: float) -> None:
    coc, subject = two_planes(0.0, far_px)
    rgb = np.where(subject[..., None], np.float32([0.0, 0.0, 0.0]), np.float32([0.5, 0.5, 0.5])).astype(
        np.float32
    )
    out = dl.render(rgb, coc)
    assert np.abs(out[~subject] - 0.5).max() < 1e-3


@pytest.mark.parametrize("near_px", [6.0, 14.0, 35.0])
def test_a_blurred_foreground_spills_over_and_is_seen_through(near_px: float) -> None:
    coc, subject = two_planes(near_px, 0.0)
    rgb = np.where(subject[..., None], np.float32([1, 0, 0]), np.float32([0, 1, 0])).astype(np.float32)
    out = dl.render(rgb, coc)
    row, edge = out[HEIGHT // 2], WIDTH // 4
    reach = int(0.6 * near_px)
    assert row[edge - reach, 0] > 0.02  # outside its border it spills
    assert row[edge + reach, 1] > 0.02  # inside its border the background is seen
    assert row[edge, 0] == pytest.approx(0.5, abs=0.1)
    assert np.abs(row.sum(1) - 1).max() < 0.01
    assert (np.diff(row[edge - int(near_px) : edge + int(near_px), 0]) > -0.02).all()


def test_a_thin_blurred_wire_keeps_its_energy() -> None:
    rgb = np.ones((HEIGHT, WIDTH, 3), np.float32)
    coc = np.zeros((HEIGHT, WIDTH), np.float32)
    rgb[:, 100:102], coc[:, 100:102] = 0.0, 9.0
    out = dl.render(rgb, coc)[HEIGHT // 2, :, 1]
    assert (1 - out).sum() == pytest.approx(2.0, rel=0.2)
    assert (1 - out).max() < 0.25


@pytest.mark.parametrize(("near", "far"), [(6.0, -5.0), (20.0, -20.0), (0.0, -30.0)])
def test_mirrored_input_gives_mirrored_output(near: float, far: float) -> None:
    coc, _ = two_planes(near, far)
    rgb = np.kron(picture(5, 15, 20), np.ones((10, 10, 1), np.float32))
    out, mirrored = dl.render(rgb, coc), dl.render(rgb[:, ::-1], coc[:, ::-1])[:, ::-1]
    assert np.abs(out - mirrored).mean() < 0.006
    assert np.quantile(np.abs(out - mirrored), 0.999) < 0.12  # ties in what is hidden fall to one side


def test_threads_do_not_change_the_result() -> None:
    rgb, coc = picture(6), two_planes(12.0, -20.0)[0]
    one = dl.render(rgb, coc, threads=1)
    assert np.array_equal(one, dl.render(rgb, coc, threads=3))
    assert np.array_equal(one, dl.render(rgb, coc, threads=1))


def test_twice_the_light_gives_twice_the_picture() -> None:
    rgb, coc = picture(7), two_planes(10.0, -10.0)[0]
    assert np.allclose(dl.render(2 * rgb, coc), 2 * dl.render(rgb, coc), atol=1e-4)


def test_resolutions_agree() -> None:
    """Shells at reduced size against everything at full size."""
    from deeplens_dof.lens_blur.tiles.pyramid import Shell

    rgb = np.kron(picture(8, 30, 40), np.ones((5, 5, 1), np.float32))
    coc = two_planes(22.0, -24.0)[0] + np.linspace(-2, 2, WIDTH, dtype=np.float32)
    fast = render_optical(rgb, coc, Aperture.disc())
    whole = render_optical(rgb, coc, Aperture.disc(), shells=[Shell(1, 0.0, math.inf)])
    assert np.sqrt(((fast - whole) ** 2).mean()) < 0.012


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 2), (97, 191), (193, 95)])
def test_any_size_of_picture(shape: tuple[int, int]) -> None:
    rgb = picture(9, *shape)
    coc = np.random.default_rng(9).normal(0, 12, shape).astype(np.float32)
    out = dl.render(rgb, coc)
    assert out.shape == rgb.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.min() >= rgb.min() - 1e-4
    assert out.max() <= rgb.max() + 1e-4


@pytest.mark.parametrize(
    ("rgb", "coc", "words"),
    [
        (np.zeros((4, 5), np.float32), np.zeros((4, 5)), "shape"),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5)), "linear light"),
        (np.zeros((0, 5, 3), np.float32), np.zeros((0, 5)), "shape"),
        (np.zeros((4, 5, 3), np.float32), np.zeros((5, 4)), "coc_px has shape"),
        (np.zeros((4, 5, 3), np.float32), np.full((4, 5), np.nan), "NaN"),
        (np.zeros((4, 5, 3), np.float32), np.full((4, 5), np.inf), "infinite"),
        (np.full((4, 5, 3), np.nan, np.float32), np.zeros((4, 5)), "the picture holds NaN"),
        (np.zeros((4, 5, 3), np.float32), np.full((4, 5), 5000.0), "at most 4000"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(rgb: np.ndarray, coc: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dl.render(rgb, coc)


def test_an_unknown_renderer_is_named() -> None:
    with pytest.raises(ValueError, match=r"'magic'.*optical"):
        dl.render(picture(), np.zeros((HEIGHT, WIDTH), np.float32), renderer="magic")


def test_lens_points_fill_the_disc_evenly() -> None:
    points = Aperture.disc().points(500)
    assert points.shape == (500, 2)
    assert np.abs(points.mean(0)).max() < 1e-6
    assert (points**2).sum(1).mean() == pytest.approx(0.5, abs=0.01)
    assert np.hypot(*points.T).max() <= 1.01


def test_more_blur_asks_for_more_lens_points() -> None:
    counts = [lens_points_for(radius) for radius in (1, 5, 8, 12, 16, 24)]
    assert counts == sorted(counts)


@pytest.mark.parametrize("is_disc", [True, False])
@pytest.mark.parametrize("largest", [0.5, 8.0, 16.5, 33.0, 81.0, 330.0, 1300.0])
def test_shells_cover_every_radius_once(largest: float, is_disc: bool) -> None:
    shells = shells_for(largest, is_disc)
    assert shells[0].inner == 0
    assert shells[-1].outer == math.inf
    for inside, outside in itertools.pairwise(shells):
        assert inside.outer == outside.inner
        assert outside.inner / outside.factor >= 2
    assert largest / shells[-1].factor <= LARGEST_CELLS


def test_a_lamp_on_a_slanted_surface_leaves_no_step() -> None:
    """Its disc crosses from one shell into the next; against everything at full size in one view."""
    from deeplens_dof.lens_blur.tiles.pyramid import Shell

    rgb = np.full((HEIGHT, WIDTH, 3), 0.05, np.float32)
    rgb[70:74, 98:102] = 30.0
    coc = np.repeat(np.linspace(-12, -5, HEIGHT, dtype=np.float32)[:, None], WIDTH, 1)
    fast = render_optical(rgb, coc, Aperture.disc())
    whole = render_optical(rgb, coc, Aperture.disc(), shells=[Shell(1, 0.0, math.inf)])
    disc = whole[72, 100, 1]
    assert disc > 1.0
    assert np.abs(fast - whole).max() < 0.25 * disc
    assert np.sqrt(((fast - whole) ** 2).mean()) < 0.01 * disc


def test_a_preview_with_few_lens_points_is_like_the_whole() -> None:
    rgb = np.kron(picture(8, 30, 40), np.ones((5, 5, 1), np.float32))
    coc = two_planes(12.0, -9.0)[0]
    preview, full = dl.render(rgb, coc, lens_points=24), dl.render(rgb, coc)
    assert 0 < np.sqrt(((preview - full) ** 2).mean()) < 0.02
    with pytest.raises(ValueError, match="lens_points is 0"):
        dl.render(rgb, coc, lens_points=0)


@pytest.mark.parametrize("aperture", [Aperture.disc(), Aperture.blades(5)])
@pytest.mark.parametrize("near_px", [14.0, 40.0, 70.0])
def test_a_large_picture_is_rendered_like_a_part_of_it(near_px: float, aperture: Aperture) -> None:
    """Above 4 megapixels less is done at full size."""
    y, x = np.mgrid[:1700, :2500]
    rgb = np.where(((y // 90 + x // 90) % 2 == 0)[..., None], np.float32(0.8), np.float32([0.1, 0.2, 0.3]))
    rgb = rgb.astype(np.float32)
    coc = np.where((x - 700) ** 2 + (y - 500) ** 2 < 200**2, np.float32(near_px), np.float32(-near_px / 2))
    large = dl.render(rgb, coc, aperture=aperture)[200:800, 400:1000]
    part = dl.render(rgb[:1000, :1200], coc[:1000, :1200], aperture=aperture)[200:800, 400:1000]
    assert np.sqrt(((large - part) ** 2).mean()) < 0.01


@pytest.mark.parametrize("shape", [(1, 300), (2, 300), (300, 1), (3, 7)])
def test_thin_pictures_are_rendered_the_same_every_time(shape: tuple[int, int]) -> None:
    rgb = picture(11, *shape)
    coc = np.where(
        np.arange(rgb.shape[0] * rgb.shape[1]).reshape(shape) % 97 < 40, np.float32(8), np.float32(-9)
    )
    first = dl.render(rgb, coc)
    assert np.isfinite(first).all()
    assert first.max() <= 2 * rgb.max()
    assert all(np.array_equal(first, dl.render(rgb, coc)) for _ in range(5))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"aperture": "ring"}, r"'ring'.*Aperture\.parse"),
        ({"aperture": np.ones((5, 5))}, "expected an Aperture"),
        ({"threads": 0}, "threads is 0"),
        ({"lens_points": 3.5}, "lens_points is 3.5"),
        ({"renderer": [1]}, "no renderer"),
    ],
)
def test_wrong_ways_of_rendering_are_refused_in_a_sentence(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dl.render(picture(), np.zeros((HEIGHT, WIDTH), np.float32), **wrong)  # type: ignore[arg-type]
