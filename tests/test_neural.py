"""The renderer with a network: what it must leave alone, and that tiles and scales do not show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.lens_blur import neural

SIDE = 96


class Echo:
    """A session whose correction at a pixel is a tenth of its toned light's mean over 3 x 3 cells of the CoC's sign."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def run(self, names, feed):
        assert names == ["change"]
        light, coc = feed["light"][0], feed["coc_px"][0, 0]
        self.sizes.append(coc.shape)
        change = 0.1 * light * (coc > 0) + np.roll(light, 5, 2) * 0.02
        return [change[None].astype(np.float32)]


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


def test_where_nothing_was_guessed_the_network_is_not_asked(session, picture):
    coc = np.full(picture.shape[:2], 4.0, np.float32)
    assert neural.correction(picture, picture, coc) is None
    optical = dl.render(picture, coc)
    assert np.array_equal(neural.render_neural(picture, coc, dl.Aperture.disc()), optical)
    assert session.sizes == []


def test_clipped_light_that_is_blurred_is_asked_about(session, picture):
    coc = np.full(picture.shape[:2], 4.0, np.float32)
    picture[40, 40] = 3.0
    assert neural.correction(picture, picture, coc) is not None
    assert neural.correction(picture, picture, coc * 0) is None


@pytest.mark.parametrize("size", [(96, 120), (70, 33), (16, 200)])
def test_tiles_do_not_show(session, picture, monkeypatch, size):
    part = np.ascontiguousarray(np.tile(picture, (1, 2, 1))[: size[0], : size[1]])
    coc = step(part.shape[:2])
    whole = neural.correction(part, part, coc)
    monkeypatch.setattr(neural, "TILE", 32)
    monkeypatch.setattr(neural, "HALO", 16)
    monkeypatch.setattr(neural, "_guessed", lambda light, coc: np.ones(coc.shape, bool))
    assert np.array_equal(neural.correction(part, part, coc)[:, 16:-16], whole[:, 16:-16])
    assert all(side % 16 == 0 for size in session.sizes for side in size)


def test_large_blur_is_corrected_at_a_smaller_scale(session, picture):
    coc = step(picture.shape[:2], near=80.0, far=0.0)
    blurred = neural.render_neural(picture, coc, dl.Aperture.disc())
    scale = int(np.ceil(80 / neural.LARGEST_PX))
    assert scale == 3
    assert session.sizes == [(32, 48)]  # 96 x 120 px to 32 x 40 cells, padded
    assert blurred.shape == picture.shape
    assert not np.array_equal(blurred, dl.render(picture, coc))


def test_a_change_of_nothing_keeps_every_bit(picture):
    kept = picture.copy()
    change = np.zeros_like(picture)
    change[10:20] = 0.1
    neural.add_toned(kept, change)
    assert np.array_equal(kept[:10], picture[:10])
    assert np.array_equal(kept[20:], picture[20:])
    assert (kept[10:20] > picture[10:20]).all()


def test_tone_is_that_of_the_school():
    torch = pytest.importorskip("torch", reason="the school needs torch: pip install '.[learn]'")
    from deeplens_dof.learn.tone import from_tone, to_tone

    light = np.concatenate([np.linspace(0, 0.01, 50), np.linspace(0.01, 8, 200)]).astype(np.float32)
    tone = neural._to_tone(light)
    assert tone == pytest.approx(to_tone(torch.from_numpy(light)).numpy(), abs=1e-6)
    assert neural._from_tone(tone) == pytest.approx(from_tone(torch.from_numpy(tone)).numpy(), rel=1e-5)
    assert neural._from_tone(tone) == pytest.approx(light, rel=1e-4, abs=1e-6)
