"""Composed pairs: the integral over the lens obeys optics, and files depend on seed and number alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.datasets.pairs import pair_files, read_pair
from deeplens_dof.learn.scenes.composites import compose, materials, mattes, pairs
from deeplens_dof.learn.scenes.composites.compose import Composition, Layer, draw, make_pair
from deeplens_dof.learn.scenes.composites.integrate import SUBPIXELS
from deeplens_dof.learn.scenes.composites.materials import Materials
from deeplens_dof.optics.aperture import Aperture

SIZE, MARGIN = 48, 12
SAMPLES = (SIZE + 2 * MARGIN) * SUBPIXELS
POINTS = Aperture.disc().points(256)


@pytest.fixture
def some_materials() -> Materials:
    rng = np.random.default_rng(3)
    photos = [rng.integers(0, 255, (160, 200, 3), np.uint8) for _ in range(2)]
    cut = np.dstack([photos[0][:100, :80], np.full((100, 80), 255, np.uint8)])
    return Materials(photos, rng.integers(0, 255, (2, 64, 64, 3), np.uint8), [cut])


def plane(
    colour: np.ndarray, matte: np.ndarray | float = 1.0, at: float = 0.0, tilt: tuple = (0, 0)
) -> Layer:
    alpha = np.broadcast_to(np.asarray(matte, np.float32), (SAMPLES, SAMPLES))
    texture = np.dstack([np.broadcast_to(colour, (SAMPLES, SAMPLES, 3)) * alpha[..., None], alpha])
    return Layer(texture.astype(np.float32), np.array([at, *tilt], np.float32))


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((SAMPLES, SAMPLES, 3), np.float32)


def right_half() -> np.ndarray:
    matte = np.zeros((SAMPLES, SAMPLES), np.float32)
    matte[:, SAMPLES // 2 :] = 1
    return matte


def test_what_is_in_focus_is_the_scene_itself():
    scene = Composition((plane(noise(), at=0.5),), SIZE, MARGIN)
    start = MARGIN * SUBPIXELS
    fine = scene.layers[0].texture[start:-start, start:-start, :3]
    assert scene.light() == pytest.approx(fine.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3)), abs=1e-6)
    assert scene.through(POINTS, 0.5, 20.0) == pytest.approx(scene.light(), abs=1e-5)


def test_a_lamp_becomes_the_aperture_with_all_its_light():
    texture = np.zeros((SAMPLES, SAMPLES, 3), np.float32)
    middle = SAMPLES // 2
    texture[middle : middle + 2, middle : middle + 2] = 100
    scene = Composition((plane(texture, at=1.0),), SIZE, MARGIN)
    seen = scene.through(POINTS, 0.0, 8.0)
    assert seen.sum() == pytest.approx(300, rel=1e-4)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    away = np.hypot(x, y)
    assert (seen[away > 9.2] == 0).all()
    assert seen[away < 7].mean() == pytest.approx(100 / (np.pi * 64), rel=0.03)


def test_an_edge_in_front_is_seen_through_as_far_as_the_lens_is_wide():
    """Half of the lens sees the sharp wall past an edge that covers the pixel."""
    scene = Composition((plane(np.ones(3), right_half(), at=1.0), plane(np.zeros(3))), SIZE, MARGIN)
    seen = scene.through(POINTS, 0.0, 10.0)[SIZE // 2, :, 0]
    edge = SIZE // 2
    assert seen[edge - 12] == 0
    assert seen[edge + 12] == pytest.approx(1, abs=1e-5)
    assert seen[edge - 1 : edge + 1].mean() == pytest.approx(0.5, abs=0.02)
    chord = (np.arccos(0.5) - 0.5 * np.sqrt(0.75)) / np.pi  # of a disc beyond half its radius
    assert seen[edge - 6 : edge - 4].mean() == pytest.approx(chord, abs=0.03)


def test_an_edge_in_focus_stays_sharp_before_a_blurred_wall():
    wall = noise(1)
    scene = Composition((plane(np.ones(3), right_half(), at=1.0), plane(wall)), SIZE, MARGIN)
    seen = scene.through(POINTS, 1.0, 10.0)
    assert np.abs(seen[:, SIZE // 2 :] - 1).max() < 1e-5
    assert seen[:, : SIZE // 2].max() < 0.8


def test_a_tilted_plane_is_blurred_as_much_as_each_place_asks():
    scene = Composition((plane(noise(), at=0.0, tilt=(1 / SIZE, 0)),), SIZE, MARGIN)
    seen = scene.through(POINTS, 0.0, 10.0)
    deviation = [seen[:, column : column + 8].std() for column in (0, 16, 40)]
    assert deviation[0] > 3 * deviation[1] > 3.3 * deviation[2]


def test_depth_and_surface_are_those_of_what_covers_at_least_half():
    half_there = plane(np.ones(3), right_half() * 0.6, at=0.8)
    barely_there = plane(np.ones(3), 0.4, at=0.9)
    scene = Composition((barely_there, half_there, plane(np.zeros(3), at=0.1)), SIZE, MARGIN)
    assert (scene.surfaces()[:, : SIZE // 2] == 2).all()
    assert (scene.surfaces()[:, SIZE // 2 :] == 1).all()
    assert scene.inverse_depth()[5, [3, SIZE - 3]] == pytest.approx([0.1, 0.8])


@pytest.mark.parametrize("kind", mattes.KINDS, ids=lambda kind: kind.__name__)
def test_mattes_are_0_to_1_and_hold_something(kind):
    shares = [kind(np.random.default_rng(seed), 96) for seed in range(6)]
    assert all(each.shape == (96, 96) and each.dtype == np.float32 for each in shares)
    assert all(each.min() >= 0 and each.max() <= 1 for each in shares)
    assert any(0.005 < each.mean() < 0.98 for each in shares)


def test_scenes_are_ordered_from_near_to_far_at_every_pixel(some_materials):
    for seed in range(12):
        scene = draw(np.random.default_rng(seed), some_materials, SIZE, MARGIN)
        depths = np.stack([layer.inverse_depth(SIZE) for layer in scene.layers])
        things = depths[:-1] if len(scene.layers) > 1 else depths
        assert (np.diff(things[: len(depths) - 1], axis=0) <= 1e-6).all() or len(depths) < 3
        assert scene.layers[-1].texture[..., 3].min() == 1


def test_pairs_depend_on_seed_and_number_alone_and_survive_their_files(
    tmp_path: Path, some_materials, monkeypatch
):
    monkeypatch.setattr(compose, "load_materials", lambda held_out: some_materials)
    monkeypatch.setattr(pairs, "load_materials", lambda held_out: some_materials)
    monkeypatch.setattr(compose, "SIZE", SIZE)
    first, again, other = make_pair(1, 0, size=SIZE), make_pair(1, 0, size=SIZE), make_pair(1, 1, size=SIZE)
    assert (first.bokeh == again.bokeh).all()
    assert first.facts == again.facts
    assert not np.array_equal(first.bokeh, other.bokeh)
    monkeypatch.setattr(
        pairs, "make_pair", lambda seed, index, held_out: make_pair(seed, index, held_out, SIZE)
    )
    assert pairs.make_pairs(tmp_path, 2, 1) == {"made": 2, "kept": 0}
    assert pairs.make_pairs(tmp_path, 3, 1) == {"made": 1, "kept": 2}
    kept = read_pair(pair_files(tmp_path)[0])
    assert kept.bokeh == pytest.approx(first.bokeh, rel=1e-3, abs=1e-3)
    assert kept.coc_px == pytest.approx(first.coc_px, rel=1e-3, abs=1e-2)
    assert kept.facts["shape"] == first.facts["shape"]


def test_a_file_that_is_no_pair_is_named(tmp_path: Path):
    broken = tmp_path / "pair_000000.npz"
    broken.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match=r"pair_000000.npz is not a pair .* run that again"):
        read_pair(broken)
    with pytest.raises(ValueError, match=r"holds no pairs; make some with `deeplens scenes"):
        pair_files(tmp_path)


def test_the_split_goes_by_name_and_leaves_the_larger_part_for_training():
    held_out = [materials.is_held_out(f"photo {number}") for number in range(2000)]
    assert 0.12 < np.mean(held_out) < 0.18
