"""The renderer with a network: pixels it must not change, invisible tiles and scales."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.lens_blur import neural

SIDE = 96


class Echo:
    """A session that answers with the mean alpha of the neighbours within 6 px, and the colours beside the border."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def run(self, names, feed):
        assert names == ["parted"]
        light, (guessed, *_) = feed["light"][0], feed["sides"][0]
        self.sizes.append(guessed.shape)
        alpha = np.mean([np.roll(guessed, shift, 1) for shift in range(-6, 7)], 0)
        return [np.concatenate([alpha[None], light, feed["far_light"][0]])[None].astype(np.float32)]


@pytest.fixture
def session(monkeypatch) -> Echo:
    echo = Echo()
    monkeypatch.setattr(neural, "open_session", lambda name, threads: echo)
    monkeypatch.setattr(neural, "MODELS", {"lens_blur": SimpleNamespace(multiple_px=16)})
    return echo


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).random((SIDE, SIDE + 24, 3), np.float32) * 0.8


def step(shape, near=6.0, far=-3.0) -> np.ndarray:
    coc = np.full(shape, far, np.float32)
    coc[:, shape[1] // 2 :] = near
    return coc


def rendered(picture: np.ndarray, coc: np.ndarray) -> np.ndarray:
    return neural.render_neural(picture, coc, dl.Aperture.disc())


def test_without_borders_it_is_the_optical_renderer_to_the_bit(session, picture):
    coc = np.full(picture.shape[:2], 4.0, np.float32)
    assert np.array_equal(rendered(picture, coc), dl.render(picture, coc))
    assert session.sizes == []


def test_at_borders_the_network_has_its_say_and_far_from_them_nothing_changes(session, picture):
    coc = step(picture.shape[:2])
    ours, optical = rendered(picture, coc), dl.render(picture, coc)
    assert len(session.sizes) == 1
    assert all(side % 16 == 0 for side in session.sizes[0])
    middle = coc.shape[1] // 2
    assert np.abs(ours[:, middle - 4 : middle + 4] - optical[:, middle - 4 : middle + 4]).mean() > 0.01
    assert ours[:, :8] == pytest.approx(optical[:, :8], abs=1e-5)


def test_tiles_do_not_show(session, picture, monkeypatch):
    coc = step(picture.shape[:2])
    whole = rendered(picture, coc)
    monkeypatch.setattr(neural, "UNMIX_TILE", 32)
    monkeypatch.setattr(neural, "UNMIX_HALO", 16)
    session.sizes.clear()
    assert np.array_equal(rendered(picture, coc), whole)
    assert len(session.sizes) > 3


def test_it_only_blurs_and_invents_no_light(session, picture):
    clipped = np.minimum(2 * picture, 1)
    coc = np.full(picture.shape[:2], 4.0, np.float32)
    assert np.array_equal(dl.render(clipped, coc, renderer="neural"), dl.render(clipped, coc))
    assert dl.render(clipped, step(coc.shape), renderer="neural").max() <= 1 + 1e-4


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (17, 33)])
def test_any_size_is_rendered(session, size):
    coc = np.zeros(size, np.float32)
    coc[:, size[1] // 2 :] = 5
    light = np.full((*size, 3), 0.5, np.float32)
    assert rendered(light, coc) == pytest.approx(0.5, abs=1e-3)


def test_in_focus_the_photo_stays(session, picture):
    assert np.array_equal(rendered(picture, np.zeros(picture.shape[:2], np.float32)), picture)


def test_large_photos_take_the_difference_from_a_smaller_size(session, picture, monkeypatch):
    coc = step(picture.shape[:2], 12.0, -4.0)
    monkeypatch.setattr(neural, "UNMIX_LONGEST_PX", 60)
    large, optical = rendered(picture, coc), dl.render(picture, coc)
    assert max(session.sizes[0]) <= 64
    assert large.shape == picture.shape
    middle = coc.shape[1] // 2
    assert np.abs(large - optical)[:, middle - 10 : middle + 10].mean() > 0.005
    assert np.abs(large - optical)[:, :8].mean() < 0.004  # white noise shows the lens points


def test_a_picture_without_colour_gets_none(session, picture, monkeypatch):
    grey, coc = picture.mean(2, keepdims=True).repeat(3, 2), step(picture.shape[:2])
    said, tint = session.run, np.array([1.1, 1.0, 0.8] * 2, np.float32)[:, None, None]

    def tinted(names, feed):
        (answer,) = said(names, feed)
        answer[:, 1:] *= tint
        return [answer]

    monkeypatch.setattr(session, "run", tinted)
    assert np.ptp(rendered(grey, coc), axis=2).max() < 1e-5
    assert np.ptp(rendered(picture, coc), axis=2).max() > 0.1


def test_tone_and_back_is_the_same_light():
    light = np.array([0.0, 1e-4, 0.02, 0.5, 1.0, 9.0], np.float32)[None, :, None].repeat(3, 2)
    changed = light.copy()
    neural.add_toned(changed, np.full_like(light, 1e-6))
    assert changed == pytest.approx(light, rel=1e-3, abs=2e-6)
    untouched = light.copy()
    neural.add_toned(untouched, np.zeros_like(light))
    assert np.array_equal(untouched, light)
