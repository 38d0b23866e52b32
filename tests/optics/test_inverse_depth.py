"""Laws of inverse depth: the unit travels with the numbers, near is larger, bad numbers are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplens_dof.optics.inverse_depth import InverseDepth, normalise

RAMP = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)


def test_values_become_float32_and_contiguous_and_keep_their_shape() -> None:
    depth = InverseDepth(np.arange(12.0).reshape(3, 4)[:, ::-1], "1/m")
    assert depth.values.dtype == np.float32
    assert depth.values.flags.c_contiguous
    assert depth.shape == (3, 4)
    np.testing.assert_array_equal(depth.values[0], [3, 2, 1, 0])


def test_it_cannot_be_changed() -> None:
    depth = InverseDepth(RAMP, "relative")
    with pytest.raises(dataclasses.FrozenInstanceError):
        depth.unit = "1/m"


@given(nearest_m=st.floats(0.01, 1000))
def test_relative_depth_is_placed_between_the_nearest_distance_and_infinity(nearest_m: float) -> None:
    placed = InverseDepth(RAMP, "relative").in_metres(nearest_m)
    assert placed.min() == 0
    np.testing.assert_allclose(1 / placed.max(), nearest_m, rtol=1e-6)


def test_metric_depth_is_not_moved_by_nearest_m() -> None:
    np.testing.assert_array_equal(InverseDepth(RAMP, "1/m").in_metres(3.0), RAMP)


@given(nearest_m=st.floats(0.01, 1000), value=st.floats(0, 1, width=32))
def test_one_value_goes_to_metres_as_the_whole_map_does(nearest_m: float, value: float) -> None:
    for unit in ("relative", "1/m"):
        depth = InverseDepth(np.full((2, 3), value, np.float32), unit)
        expected = depth.in_metres(nearest_m)[0, 0]
        assert depth.to_metric(value, nearest_m) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(nearest_m=st.floats(0.01, 1000))
def test_relative_depth_spreads_from_infinity_to_the_nearest_distance(nearest_m: float) -> None:
    assert InverseDepth(RAMP * 0.3, "relative").spread(nearest_m) == 1 / nearest_m


def test_metric_depth_spreads_over_its_own_range_without_outliers() -> None:
    values = 2 + 3 * RAMP
    values[0, :8] = 1e6
    assert InverseDepth(values, "1/m").spread(1.0) == pytest.approx(3 * 0.99, rel=0.01)
    shifted = InverseDepth(values + 5, "1/m").spread(1.0)
    assert shifted == pytest.approx(InverseDepth(values, "1/m").spread(7.0), rel=1e-4)


def test_only_relative_depth_is_stretched() -> None:
    metric = InverseDepth(5 * RAMP + 1, "1/m")
    assert metric.stretched() is metric
    stretched = InverseDepth(5 * RAMP + 1, "relative").stretched()
    assert (stretched.unit, stretched.values.min(), stretched.values.max()) == ("relative", 0, 1)


@pytest.mark.parametrize("nearest_m", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_nearest_distance_is_a_sentence(nearest_m: float) -> None:
    with pytest.raises(ValueError, match="expected a finite distance in metres above 0"):
        InverseDepth(RAMP, "relative").in_metres(nearest_m)


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        (RAMP, "m", "expected one of"),
        (RAMP[0], "1/m", "expected \\(height, width\\)"),
        (RAMP[:0], "1/m", "expected \\(height, width\\)"),
        (RAMP[..., None], "1/m", "expected \\(height, width\\)"),
        (np.where(RAMP > 0.5, np.nan, RAMP), "relative", "NaN or infinite"),
        (np.where(RAMP > 0.5, np.inf, RAMP), "1/m", "NaN or infinite"),
    ],
)
def test_what_is_no_depth_is_a_sentence(values: np.ndarray, unit: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        InverseDepth(values, unit)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_normalising_forgets_scale_and_shift(scale: float, shift: float) -> None:
    moved = (RAMP.astype(np.float64) * scale + shift).astype(np.float32)
    rounding = 4 * float(np.spacing(np.float32(abs(shift) + scale))) / scale
    np.testing.assert_allclose(normalise(moved), normalise(RAMP), atol=1e-5 + rounding)


def test_normalising_keeps_the_order_and_fills_0_to_1() -> None:
    mapped = InverseDepth(RAMP * 7 - 2, "1/m").normalised()
    assert mapped.dtype == np.float32
    assert mapped.min() == 0
    assert mapped.max() == 1
    assert (np.diff(mapped.ravel()) >= 0).all()


def test_a_few_wild_values_do_not_matter() -> None:
    wild = RAMP.copy()
    wild[0, :3], wild[-1, -3:] = -1e6, 1e6
    np.testing.assert_allclose(normalise(wild), normalise(RAMP), atol=0.005)


@pytest.mark.parametrize("value", [0.0, 1e-30, -5.0, 3e8])
def test_a_constant_map_becomes_0(value: float) -> None:
    assert not normalise(np.full((5, 7), value, np.float32)).any()
