"""Colour: the profile stays, its own curves lead to linear light and back, and networks get sRGB."""

from __future__ import annotations

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.imaging import color
from deeplens_dof.photo import Photo
from deeplens_dof.photo.metadata import icc

CODES = np.arange(65536) / 65535
PROFILES = {
    "none": (None, color.srgb_to_linear(CODES)),
    "sRGB": (samples.rgb_profile(samples.SRGB_COLORANTS, samples.SRGB_CURVE), color.srgb_to_linear(CODES)),
    "Display-P3": (samples.display_p3(), color.srgb_to_linear(CODES)),
    "Adobe RGB": (
        samples.rgb_profile(samples.ADOBE_COLORANTS, samples.gamma_curve(563 / 256)),
        CODES ** (563 / 256),
    ),
    "ProPhoto": (
        samples.rgb_profile(samples.ADOBE_COLORANTS, samples.gamma_curve(1.80078125)),
        CODES**1.80078125,
    ),
    "gamma 2.6": (
        samples.rgb_profile(samples.P3_COLORANTS, samples.gamma_curve(2.6015625)),
        CODES**2.6015625,
    ),
    "linear": (samples.rgb_profile(samples.SRGB_COLORANTS, b"curv" + bytes(8)), CODES),
    "table": (
        samples.rgb_profile(samples.ADOBE_COLORANTS, samples.table_curve(np.linspace(0, 1, 1024) ** 1.5)),
        CODES**1.5,
    ),
}


def every_code(dtype: type) -> np.ndarray:
    """(H, 256, 3) that holds each code once in every channel."""
    codes = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 256)
    return np.stack([codes, codes[::-1, ::-1], np.roll(codes, 77)], axis=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", PROFILES)
def test_encode_is_the_exact_inverse_of_linear(name: str, dtype: type) -> None:
    picture = Photo(every_code(dtype), icc=PROFILES[name][0])
    np.testing.assert_array_equal(picture.encode(picture.linear()), picture.pixels)


def test_black_stays_black_under_a_table_that_starts_with_zeros() -> None:
    profile = samples.rgb_profile(
        samples.ADOBE_COLORANTS, samples.table_curve(np.linspace(0, 1, 4096) ** 1.8)
    )
    picture = Photo(every_code(np.uint16), icc=profile)
    linear = picture.linear()
    assert (linear == 0).sum() > 3
    again = picture.encode(linear)
    assert (again[linear == 0] == 0).all()
    np.testing.assert_allclose(picture.with_pixels(again).linear(), linear, atol=2e-6)


@pytest.mark.parametrize("name", PROFILES)
def test_linear_light_follows_the_curve_of_the_profile(name: str) -> None:
    profile, expected = PROFILES[name]
    picture = Photo(every_code(np.uint16), icc=profile)
    linear = picture.linear()
    assert linear.dtype == np.float32
    np.testing.assert_allclose(linear[..., 0], expected[picture.pixels[..., 0]], atol=2e-5)
    bytes_photo = Photo(every_code(np.uint8), icc=profile)
    np.testing.assert_allclose(
        bytes_photo.linear()[..., 2], expected[257 * bytes_photo.pixels[..., 2].astype(int)], atol=2e-5
    )


def test_each_channel_may_have_its_own_curve() -> None:
    gammas = (1.0, 1.8, 2.2)
    profile = samples.rgb_profile(samples.ADOBE_COLORANTS, *map(samples.gamma_curve, gammas))
    picture = Photo(every_code(np.uint8), icc=profile)
    linear = picture.linear()
    for channel, gamma in enumerate(gammas):
        exponent = round(gamma * 256) / 256
        np.testing.assert_allclose(
            linear[..., channel], (picture.pixels[..., channel] / 255) ** exponent, atol=1e-6
        )
    np.testing.assert_array_equal(picture.encode(linear), picture.pixels)


@pytest.mark.parametrize("name", PROFILES)
def test_light_out_of_range_is_clipped(name: str) -> None:
    picture = Photo(samples.picture(), icc=PROFILES[name][0])
    light = np.array([[[-1, np.nan, 0], [1, 2, np.inf]]], np.float32)
    for dtype in (np.uint8, np.uint16):
        top = np.iinfo(dtype).max
        np.testing.assert_array_equal(picture.encode(light, dtype), [[[0, 0, 0], [top, top, top]]])


@pytest.mark.parametrize("form", samples.FORMATS)
def test_display_p3_stays_display_p3(form: str) -> None:
    source = samples.file_of(Image.fromarray(samples.picture()), form, icc_profile=samples.display_p3())
    first = photo.read(source)
    assert first.icc == samples.display_p3()
    for target in samples.FORMATS:
        for strip in (False, True):
            assert photo.read(first.to_bytes(format=target, strip_metadata=strip)).icc == samples.display_p3()
    for target in samples.LOSSLESS:
        np.testing.assert_array_equal(photo.read(first.to_bytes(format=target)).pixels, first.pixels)


def test_srgb8_leaves_srgb_alone_and_converts_the_rest() -> None:
    pixels = samples.picture()
    np.testing.assert_array_equal(Photo(pixels).srgb8(), pixels)
    np.testing.assert_array_equal(Photo(pixels, icc=PROFILES["sRGB"][0]).srgb8(), pixels)
    deep = samples.noise(8, 8, np.uint16)
    np.testing.assert_array_equal(Photo(deep).srgb8(), np.rint(deep / 257))

    grey = np.full((4, 4, 3), 128, np.uint8)
    wide = Photo(grey, icc=samples.display_p3()).srgb8()
    assert np.abs(wide.astype(int) - 128).max() <= 1  # white is white in both: grey does not move
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    converted = Photo(red, icc=samples.display_p3()).srgb8()
    assert converted[0, 0, 0] > 210  # the same red is a larger part of the smaller gamut


def test_srgb8_agrees_with_the_matrices() -> None:
    """An oracle: linear light through both matrices, encoded by imaging/color.py, where sRGB can show it."""
    muted = (samples.picture() // 4 + 96).astype(np.uint8)
    picture = Photo(muted, icc=PROFILES["Adobe RGB"][0])
    to_xyz, from_xyz = np.array(samples.ADOBE_COLORANTS).T, np.linalg.inv(np.array(samples.SRGB_COLORANTS).T)
    light = picture.linear() @ (from_xyz @ to_xyz).T.astype(np.float32)
    expected = color.linear_to_srgb(light.astype(np.float32))
    assert np.abs(picture.srgb8().astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_profile_is_exchanged_for_srgb_of_the_same_light(dtype: type) -> None:
    ramp = np.linspace(0, np.iinfo(dtype).max, 48).astype(dtype)[None].repeat(4, axis=0)
    data = samples.file_of(
        Image.fromarray(ramp), "TIFF", icc_profile=samples.grey_profile(samples.gamma_curve(1.0))
    )
    back = photo.read(data)
    assert back.icc is None
    assert back.pixels.dtype == dtype
    light = ramp / np.iinfo(dtype).max
    np.testing.assert_allclose(back.linear()[..., 0], light, atol=5e-3 if dtype == np.uint8 else 2e-5)


def test_a_profile_that_does_not_fit_the_pixels_is_left_out() -> None:
    for wrong in (
        samples.cmyk_profile(),
        samples.grey_profile(samples.gamma_curve(2.2)),
        b"no profile at all" * 20,
    ):
        data = samples.file_of(Image.fromarray(samples.picture()), "PNG", icc_profile=wrong)
        back = photo.read(data)
        assert back.icc is None
        np.testing.assert_array_equal(back.pixels, samples.picture())


def test_damaged_profiles_never_raise() -> None:
    whole = samples.rgb_profile(samples.P3_COLORANTS, samples.table_curve(np.linspace(0, 1, 64) ** 2))
    random = np.random.default_rng(3)
    for cut in range(0, len(whole), 7):
        icc.profile(whole[:cut])
    for _ in range(300):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            broken[place] = random.integers(0, 256)
        picture = Photo(samples.picture(4, 4), icc=bytes(broken))
        assert picture.linear().shape == (4, 4, 3)
        assert np.isfinite(picture.linear()).all()
        assert picture.srgb8().shape == (4, 4, 3)


def test_curve_tables_beyond_reason_are_not_read() -> None:
    bomb = b"curv" + bytes(4) + (2**31).to_bytes(4, "big") + bytes(64)
    found = icc.profile(samples.rgb_profile(samples.P3_COLORANTS, bomb))
    assert found is not None
    assert found.curves is None
