"""Cut-outs: the colour of what is transparent is never seen, and alpha is blurred with the light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof import photo
from deeplens_dof.imaging.holes import filled

SIZE = (48, 72)


def cut_out(hidden: tuple[int, int, int], dtype: type = np.uint8) -> photo.Photo:
    """A figure on nothing; what is transparent has this colour, 0..255."""
    top = np.iinfo(dtype).max
    pixels, alpha = samples.picture(*SIZE, dtype), np.zeros(SIZE, dtype)
    alpha[12:40, 20:48] = top
    alpha[12:40, 48] = top // 2
    pixels[alpha == 0] = np.array(hidden) * (top // 255)
    return photo.Photo(pixels, alpha)


def depth_of_figure() -> dl.InverseDepth:
    values = np.full(SIZE, 0.2, np.float32)
    values[12:40, 20:49] = 0.9
    return dl.InverseDepth(values, "relative")


SETTINGS = dl.Settings(focus=(0.02, 0.02), f_number=0.7, lens_mm=200, highlights=0.5, subject_sharp=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hidden_colours_are_never_seen(dtype: type) -> None:
    results = [
        dl.refocus(dl.analyse(cut_out(hidden, dtype), depth_of_figure()), SETTINGS).as_photo()
        for hidden in ((0, 0, 0), (255, 0, 255), (255, 255, 255))
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.alpha, results[0].alpha)
        seen = other.alpha > 0
        np.testing.assert_array_equal(other.pixels[seen], results[0].pixels[seen])


@pytest.mark.parametrize("given", ["array", "float array", "Pillow", "EXR"])
def test_every_kind_of_input_is_a_cut_out(given: str, tmp_path: Path) -> None:
    alphas = []
    for hidden in ((0, 0, 0), (255, 0, 255)):
        picture = cut_out(hidden)
        stacked = np.dstack((picture.pixels, picture.alpha))
        source: object = stacked
        if given == "float array":
            source = (stacked / 255).astype(np.float32)
        elif given == "Pillow":
            source = Image.fromarray(stacked)
        elif given == "EXR":
            picture.save(tmp_path / "in.exr")
            source = tmp_path / "in.exr"
        back = dl.blur(source, depth=depth_of_figure(), settings=SETTINGS)
        if given == "EXR":
            back = np.dstack((back.linear, back.alpha))
        alphas.append(np.asarray(back).astype(float))
    top = 1 if given in ("float array", "EXR") else 255
    seen = alphas[0][..., 3] > 0.01 * top
    np.testing.assert_allclose(alphas[0][seen], alphas[1][seen], atol=1e-4 * top)
    assert 0 < alphas[0][26, 60, 3] < top  # soft where the figure is out of focus


def test_the_network_sees_no_hidden_colours() -> None:
    seen = [cut_out(hidden).seen_srgb8() for hidden in ((0, 0, 0), (255, 0, 255))]
    np.testing.assert_array_equal(*seen)
    visible = cut_out((0, 0, 0)).alpha > 0
    np.testing.assert_array_equal(seen[0][visible], samples.picture(*SIZE)[visible])


def test_what_is_in_focus_keeps_colour_and_alpha_bit_for_bit() -> None:
    picture = cut_out((255, 0, 255))
    sharp = dl.refocus(
        dl.analyse(picture, depth_of_figure()), dl.Settings(f_number=64, lens_mm=8, highlights=0)
    )
    back = sharp.as_photo()
    np.testing.assert_array_equal(back.alpha, picture.alpha)
    np.testing.assert_array_equal(back.pixels[picture.alpha > 0], picture.pixels[picture.alpha > 0])


def test_an_opaque_alpha_changes_nothing() -> None:
    plain = photo.Photo(samples.picture(*SIZE))
    opaque = photo.Photo(plain.pixels, np.full(SIZE, 255, np.uint8))
    results = [dl.refocus(dl.analyse(p, depth_of_figure()), SETTINGS) for p in (plain, opaque)]
    np.testing.assert_array_equal(results[0].image, results[1].image)
    assert results[1].alpha is None
    assert (results[1].as_photo().alpha == 255).all()


def test_alpha_is_blurred_as_light_is() -> None:
    """A white figure on nothing is, over black, the picture of a white figure on black."""
    alpha = cut_out((0, 0, 0)).alpha
    assert alpha is not None
    white = photo.Photo(np.full((*SIZE, 3), 255, np.uint8), alpha)
    on_black = photo.Photo(np.repeat(alpha[..., None], 3, 2))
    settings = dl.Settings(focus=(0.02, 0.02), f_number=0.7, lens_mm=200, highlights=0, subject_sharp=0)
    cut, flat = (dl.refocus(dl.analyse(p, depth_of_figure()), settings) for p in (white, on_black))
    solid = (alpha == 0) | (alpha == 255)
    reached = np.abs(cut.alpha - flat.linear[..., 1])[solid]
    assert np.percentile(reached, 95) < 0.02
    assert (cut.image[cut.alpha > 0.01] >= 254).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (32, 48)])
def test_holes_are_filled_within_what_is_around_them(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    picture, cover = rng.random((*shape, 3), np.float32), (rng.random(shape) > 0.6).astype(np.float32)
    whole = filled(picture, cover)
    np.testing.assert_array_equal(whole[cover > 0], picture[cover > 0])
    if (cover > 0).any():
        known = picture[cover > 0]
        assert (whole >= known.min(0) - 1e-5).all()
        assert (whole <= known.max(0) + 1e-5).all()
    noise = np.where(cover[..., None] > 0, picture, rng.random((*shape, 3), np.float32))
    np.testing.assert_array_equal(filled(noise, cover), whole)


@pytest.mark.parametrize(
    ("mode", "back"), [("1", "L"), ("L", "L"), ("I;16", "L"), ("LA", "LA"), ("La", "LA"), ("RGB", "RGB")]
)
def test_grey_modes_of_pillow_come_back_grey(mode: str, back: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(samples.picture(dtype=np.uint16)[..., 0])
    else:
        image = Image.fromarray(samples.picture()).convert("LA" if mode == "La" else mode).convert(mode)
    flat = dl.InverseDepth(np.ones((image.height, image.width), np.float32), "relative")
    assert dl.blur(image, depth=flat).mode == back


def test_floats_beyond_0_to_1_are_clipped_with_a_warning() -> None:
    picture = np.linspace(-0.5, 1.5, 8 * 8 * 3, dtype=np.float32).reshape(8, 8, 3)
    with pytest.warns(UserWarning, match=r"from -0\.5 to 1\.5.*clipped"):
        dl.blur(picture, depth=dl.InverseDepth(np.ones((8, 8), np.float32), "relative"))
