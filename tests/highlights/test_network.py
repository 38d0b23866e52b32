"""Laws of reconstruction by the network: unclipped light stays, lamps become bright, walls hardly, at any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.highlights import network as light_module
from deeplens_dof.highlights.clipping import CLIPPED, KNEE, clipping_confidence
from deeplens_dof.highlights.network import log_gains, reconstruct_highlights
from deeplens_dof.models import MODELS

HEIGHT, WIDTH = 192, 256
LAMPS = ((60, 50), (160, 80), (210, 40), (90, 140), (190, 150))


class Known:
    """A session whose gain is the red channel's sRGB, for all three channels."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, names, given):
        assert names == ["gain"]
        assert given["srgb"].dtype == given["clipped"].dtype == np.float32
        assert given["srgb"].shape == given["clipped"].shape
        self.shapes.append(given["srgb"].shape[2:])
        self.given = given
        return [np.repeat(given["srgb"][:, :1], 3, 1)]


@pytest.fixture
def session(monkeypatch) -> Known:
    known = Known()
    monkeypatch.setattr(light_module, "open_session", lambda name, threads: known)
    return known


def photo(true: np.ndarray) -> np.ndarray:
    """The light as a camera records it, clipped to 8 bits; in linear light again."""
    return dl.srgb_to_linear(dl.linear_to_srgb(np.clip(true, 0, 1).astype(np.float32)))


def night(brightness: float = 12.0, hue: tuple[float, ...] = (1, 1, 1), radius: float = 2.5) -> np.ndarray:
    """Five lamps before a dark wall."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    true = (
        np.full((HEIGHT, WIDTH, 3), 0.03, np.float32) * (1 + 0.5 * np.sin(u / 23) * np.cos(v / 31))[..., None]
    )
    for x, y in LAMPS:
        cover = np.clip(radius + 0.5 - np.hypot(u - x - 0.3, v - y - 0.1), 0, 1)[..., None]
        true = true * (1 - cover) + cover * brightness * np.array(hue)
    return true.astype(np.float32)


@pytest.mark.parametrize("scale", [1, 3])
def test_channels_that_were_clipped_grow_by_what_the_network_says(session, monkeypatch, scale):
    monkeypatch.setitem(MODELS, "light", replace(MODELS["light"], long_side_px=96))
    rng = np.random.default_rng(1)
    small = rng.random((40, 56, 3), np.float32) ** 0.3
    rgb = np.repeat(np.repeat(small, scale, 0), scale, 1)
    before = rgb.copy()
    out = reconstruct_highlights(rgb, 0.5)
    assert np.array_equal(rgb, before)
    assert session.shapes == [(64, 64)] if scale == 1 else session.shapes[0][0] % 32 == 0
    assert np.array_equal(out[rgb <= KNEE], rgb[rgb <= KNEE])
    if scale == 1:
        gain = dl.linear_to_srgb(rgb[..., :1], np.float32)
        assert out == pytest.approx(rgb + clipping_confidence(rgb) * np.expm1(0.5 * gain), abs=1e-5)
    assert (out >= rgb).all()
    assert (out[rgb >= CLIPPED] > rgb[rgb >= CLIPPED] + 0.05).all()


def test_large_pictures_are_shown_as_means_of_whole_pixels(session):
    rng = np.random.default_rng(2)
    side = MODELS["light"].long_side_px
    rgb = rng.random((70, 2 * side + 1, 3), np.float32) ** 0.3
    gain = log_gains(rgb)
    assert gain.shape == (3, 24, (2 * side + 1 + 2) // 3)
    block = rgb[9:12, 30:33]
    assert session.given["clipped"][0, :, 3, 10] == pytest.approx(
        clipping_confidence(block).mean((0, 1)), abs=1e-6
    )
    expected = dl.linear_to_srgb(block.mean((0, 1)), np.float32)
    assert session.given["srgb"][0, :, 3, 10] == pytest.approx(expected, abs=1e-5)
    last = rgb[69:, 30:33].mean((0, 1))
    assert session.given["srgb"][0, :, 23, 10] == pytest.approx(dl.linear_to_srgb(last, np.float32), abs=1e-5)


def test_where_nothing_is_to_be_done_the_picture_itself_comes_back(session):
    rgb = photo(night())
    assert reconstruct_highlights(rgb, 0.0) is rgb
    dark = rgb * np.float32(0.9)
    assert reconstruct_highlights(dark) is dark
    assert session.shapes == []
    for amount in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"highlights is .*, expected a number from 0 to 1"):
            reconstruct_highlights(rgb, amount)


def test_a_photo_may_have_a_white_below_the_top():
    rgb = photo(night())
    dim = reconstruct_highlights(rgb * np.float32(0.9), white=0.9)
    assert dim == pytest.approx(0.9 * reconstruct_highlights(rgb), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("brightness", [4.0, 12.0, 30.0])
def test_lamps_at_night_become_bright_and_nearer_to_the_truth(brightness: float):
    true = night(brightness)
    rgb = photo(true)
    lamp = true.max(2) > 0.9 * brightness
    out = reconstruct_highlights(rgb)
    error = [np.abs(np.log(true[lamp] / each[lamp])).mean() for each in (rgb, out)]
    assert error[1] < 0.75 * error[0]
    assert out.max() < 150
    assert np.array_equal(out[rgb <= KNEE], rgb[rgb <= KNEE])


def test_channels_that_are_not_clipped_stay():
    red = photo(night(5, (1, 0.1, 0.05)))
    out = reconstruct_highlights(red)
    assert np.array_equal(out[..., 1:], red[..., 1:])
    assert out[50, 60, 0] > 1.1


def bright_scenes() -> dict[str, np.ndarray]:
    v, u = np.mgrid[:HEIGHT, :WIDTH] / HEIGHT
    scenes = {
        "wall": 1.15 + 0.35 * np.cos(3 * u + v) - 0.9 * ((v > 0.75) & (u < 0.9)),
        "sky": np.where(v < 0.6 + 0.05 * np.sin(20 * u), 1.4 - v, 0.08),
        "page": np.where((np.sin(300 * v) > 0.4) & (np.sin(170 * u + 90 * v) > 0.2), 0.04, 1.1),
    }
    return {name: (scene[..., None] * np.ones(3)).astype(np.float32) for name, scene in scenes.items()}


@pytest.mark.parametrize("scene", bright_scenes().values(), ids=bright_scenes())
def test_skies_pages_and_walls_do_not_glow(scene: np.ndarray):
    rgb = photo(scene)
    clipped = rgb.max(2) >= 0.998
    assert clipped.mean() > 0.1
    out = reconstruct_highlights(rgb)
    assert out[clipped].mean() < 1.5
    assert np.quantile(out, 0.999) < 3


def test_more_is_more_and_threads_change_nothing():
    rgb = photo(night())
    light = [float(reconstruct_highlights(rgb, amount).sum()) for amount in np.linspace(0, 1, 6)]
    assert (np.diff(light) > 0).all()
    assert reconstruct_highlights(rgb, threads=1) == pytest.approx(
        reconstruct_highlights(rgb, threads=3), rel=1e-4
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (40, 1)], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_tiny_and_plain_pictures_come_through(shape: tuple[int, int], value: float):
    out = reconstruct_highlights(np.full((*shape, 3), value, np.float32))
    assert out.shape == (*shape, 3)
    assert np.isfinite(out).all()
    assert (out >= value).all()
    assert out.max() < 3
