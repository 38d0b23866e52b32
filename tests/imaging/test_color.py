"""Laws of sRGB and linear light: exact round trips, the standard curve, monotone, never out of range."""

from __future__ import annotations

import numpy as np
import pytest

from deeplens_dof.imaging.color import linear_to_srgb, luminance, srgb_to_linear


def srgb_of(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 in float64, as it is printed."""
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_code_survives_the_way_there_and_back(dtype: type) -> None:
    codes = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
    linear = srgb_to_linear(codes)
    assert linear.dtype == np.float32
    again = linear_to_srgb(linear, dtype)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, codes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_decoding_is_strictly_monotone_from_0_to_1(dtype: type) -> None:
    linear = srgb_to_linear(np.arange(np.iinfo(dtype).max + 1, dtype=dtype))
    assert linear[0] == 0
    assert linear[-1] == 1
    assert (np.diff(linear) > 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_encoding_is_monotone_and_within_a_half_code_of_the_standard(dtype: type) -> None:
    top = np.iinfo(dtype).max
    linear = np.concatenate([np.geomspace(1e-7, 0.01, 200_000), np.linspace(0.01, 1, 400_000)]).astype(
        np.float32
    )
    codes = linear_to_srgb(linear, dtype).astype(np.int64)
    assert (np.diff(codes) >= 0).all()
    slack = 0.003 if dtype == np.uint8 else 0.02  # of a code: the table, and float32
    assert np.abs(codes - srgb_of(linear.astype(np.float64)) * top).max() < 0.5 + slack


def test_the_curve_at_values_of_the_standard() -> None:
    known = {
        0: 0.0,
        10: 10 / 255 / 12.92,
        11: 0.003346536,
        55: 0.038204372,
        128: 0.215860501,
        188: 0.502886458,
        255: 1.0,
    }
    linear = srgb_to_linear(np.array(list(known), np.uint8))
    np.testing.assert_allclose(linear, list(known.values()), rtol=1e-6)


def test_16_bit_codes_hold_the_8_bit_ones() -> None:
    codes = np.arange(256, dtype=np.uint16)
    np.testing.assert_array_equal(
        srgb_to_linear(codes * np.uint16(257)), srgb_to_linear(codes.astype(np.uint8))
    )


def test_floats_go_there_and_back_beyond_1_and_below_0() -> None:
    values = np.linspace(-0.5, 3, 1001, dtype=np.float32)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values), np.float32), values, atol=2e-6)
    np.testing.assert_allclose(
        srgb_to_linear(linear_to_srgb(values, np.float32)), values, rtol=1e-5, atol=1e-6
    )
    assert linear_to_srgb(values, np.float64).dtype == np.float64
    np.testing.assert_array_equal(srgb_to_linear(-values), -srgb_to_linear(values))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_has_no_code_is_clipped_and_the_input_stays(dtype: type) -> None:
    light = np.array([[-np.inf, -1, np.nan], [1.5, 1e30, np.inf]], np.float32)
    before = light.copy()
    top = np.iinfo(dtype).max
    np.testing.assert_array_equal(linear_to_srgb(light, dtype), [[0, 0, 0], [top, top, top]])
    np.testing.assert_array_equal(light, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shape_and_memory_order_do_not_matter(dtype: type) -> None:
    light = np.random.default_rng(0).random((211, 307, 3), np.float32)  # more than one band, not a multiple
    codes = linear_to_srgb(light, dtype)
    assert codes.shape == light.shape
    np.testing.assert_array_equal(linear_to_srgb(light[::-1, ::2], dtype), codes[::-1, ::2])
    np.testing.assert_array_equal(linear_to_srgb(light.transpose(2, 0, 1), dtype), codes.transpose(2, 0, 1))
    assert linear_to_srgb(np.float32(0.5), dtype).shape == ()
    assert linear_to_srgb(light[:0], dtype).shape == (0, 307, 3)


def test_other_types_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="int32 are not supported; ask for uint8, uint16 or a float type"):
        linear_to_srgb(np.zeros(3, np.float32), np.int32)


def test_luminance_of_grey_is_grey_and_green_counts_most() -> None:
    np.testing.assert_allclose(
        luminance(np.full((4, 5, 3), 0.3, np.float32)), np.full((4, 5), 0.3), rtol=1e-6
    )
    red, green, blue = luminance(np.eye(3, dtype=np.float32))
    assert green > red > blue > 0
