"""Laws of the thin lens, and the worked example of docs/conventions.md to the last printed digit."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplens_dof.optics.thin_lens import FULL_FRAME_WIDTH_MM, TRANSITION, Lens, signed_coc_px, transition_of

CONVENTIONS = Path(__file__).parents[2] / "docs" / "conventions.md"
focal_lengths_mm = st.floats(10, 600)
f_numbers = st.floats(0.7, 64)
distances_m = st.floats(0.3, 1000)


def exact_disc_mm(lens: Lens, focus_m: float, distance_m: float) -> float:
    """Diameter of the circle of confusion on the sensor by the thin lens, positive nearer than the focus.

    aperture * (focus - distance) / distance * focal_length / (focus - focal_length), all in mm; infinity
    included.
    """
    focus, f = focus_m * 1e3, lens.focal_length_mm
    ratio = -1.0 if math.isinf(distance_m) else (focus_m - distance_m) / distance_m
    return lens.aperture_diameter_mm * ratio * f / (focus - f)


def disc_mm(lens: Lens, focus_m: float, distance_m: float) -> float:
    """The same diameter as DeepLens has it, on a picture as many pixels wide as the sensor is millimetres."""
    blur_px = lens.blur_px(FULL_FRAME_WIDTH_MM)
    return 2 * float(signed_coc_px(np.float32(1 / distance_m), 1 / focus_m, blur_px))


@settings(deadline=None)
@given(focal_lengths_mm, f_numbers, distances_m)
def test_the_focus_is_sharp(focal_length_mm: float, f_number: float, distance_m: float) -> None:
    depth = np.full((2, 3), 1 / distance_m, np.float32)
    blur_px = Lens(focal_length_mm, f_number).blur_px(4000)
    assert not signed_coc_px(depth, float(depth[0, 0]), blur_px).any()


@settings(deadline=None)
@given(focal_lengths_mm, f_numbers, st.floats(0.1, 10))
def test_scaling(focal_length_mm: float, f_number: float, scale: float) -> None:
    blur_px = Lens(focal_length_mm, f_number).blur_px(1000)
    assert math.isclose(Lens(focal_length_mm, f_number / 2).blur_px(1000), 2 * blur_px)  # half the f-number
    assert math.isclose(
        Lens(2 * focal_length_mm, f_number).blur_px(1000), 4 * blur_px
    )  # twice the focal length
    assert math.isclose(Lens(focal_length_mm, f_number).blur_px(1000 * scale), scale * blur_px)  # resized


def test_positive_is_nearer_and_the_blur_grows_with_the_distance_from_the_focus() -> None:
    depth = np.linspace(0, 2, 101, dtype=np.float32)[None]
    coc = signed_coc_px(depth, 0.8, 30.0)
    assert coc.dtype == np.float32
    assert (np.diff(coc) > 0).all()
    np.testing.assert_allclose(coc[0, [0, 40, 100]], [-24, 0, 36], atol=1e-5)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.one_of(st.floats(0, 0.3), st.just(math.inf)))
def test_the_focus_range_is_sharp_and_takes_no_blur_off_what_lies_outside(
    focus: float, focus_range: float, widest: float
) -> None:
    depth = np.linspace(-1, 2, 601, dtype=np.float32)
    coc = signed_coc_px(depth, focus, 100.0, focus_range, widest)
    plane = signed_coc_px(depth, focus, 100.0)
    off = np.abs(plane) / 100
    half, transition = focus_range / 2, transition_of(focus_range, widest)
    assert transition <= widest
    assert not coc[off < half - 1e-6].any() or transition < 1e-6
    beyond = off > half + transition + 1e-6
    np.testing.assert_allclose(coc[beyond], plane[beyond], atol=1e-4)
    assert (np.abs(coc) <= np.abs(plane) + 1e-4).all()
    assert (coc * plane >= 0).all()


@settings(deadline=None)
@given(st.floats(0.1, 0.9), st.floats(0.01, 0.9), st.floats(1, 100), st.floats(0.3, 1.0))
def test_the_blur_sets_in_without_a_kink(
    focus: float, focus_range: float, blur_px: float, narrower: float
) -> None:
    """Where the focus range ends the slope of the CoC grows from 0 bit by bit, and the CoC never falls."""
    widest = narrower * TRANSITION * focus_range
    offset = np.linspace(-1.5, 1.5, 6001) * focus_range
    coc = signed_coc_px(np.float32(focus + offset), focus, blur_px, focus_range, widest).astype(float)
    unit = blur_px * focus_range  # CoC over the width of the band
    assert (np.diff(coc) >= -1e-5 * unit / focus_range).all()
    slope = (coc[40:] - coc[:-40]) / (0.02 * unit)
    steepest = 1 + 1.5 * (0.5 / (TRANSITION * narrower) + 1)  # of smoothstep, times the CoC there
    assert slope.max() < steepest + 1e-3 / focus_range
    assert np.abs(np.diff(slope)).max() < 0.05 * steepest / narrower + 1e-3 / focus_range
    np.testing.assert_allclose(coc[[0, -1]], [-1.5 * unit, 1.5 * unit], rtol=1e-3)


def test_without_a_focus_range_the_circle_of_confusion_is_a_straight_line() -> None:
    depth = np.linspace(0, 1, 101, dtype=np.float32)
    expected = np.float32(30) * (depth - np.float32(0.5))
    assert np.array_equal(signed_coc_px(depth, 0.5, 30.0, 0.0), expected)
    np.testing.assert_allclose(signed_coc_px(depth, 0.5, 30.0, 1e-12), expected, atol=1e-4)


@settings(deadline=None)
@given(focal_lengths_mm, f_numbers, distances_m, st.one_of(distances_m, st.just(math.inf)))
def test_the_error_of_the_approximation_is_one_known_factor(
    focal_length_mm: float, f_number: float, focus_m: float, distance_m: float
) -> None:
    lens = Lens(focal_length_mm, f_number)
    if focus_m <= 2 * focal_length_mm * 1e-3:
        focus_m += 2
    exact = exact_disc_mm(lens, focus_m, distance_m)
    factor = 1 / (1 - focal_length_mm * 1e-3 / focus_m)
    rounding = lens.blur_px(FULL_FRAME_WIDTH_MM) * 1e-6 / min(focus_m, distance_m)
    assert math.isclose(disc_mm(lens, focus_m, distance_m) * factor, exact, rel_tol=1e-5, abs_tol=rounding)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_lens_is_a_sentence(bad: float) -> None:
    for arguments in ({"focal_length_mm": bad}, {"f_number": bad}):
        with pytest.raises(
            ValueError, match=rf"{next(iter(arguments))} is .*, expected a finite number above 0"
        ):
            Lens(**arguments)


def test_impossible_blur_is_a_sentence() -> None:
    depth = np.zeros((2, 2), np.float32)
    for arguments, words in (
        ((math.nan, 1.0), "the focus is at inverse depth nan"),
        ((0.5, -1.0), "blur_px is -1.0"),
        ((0.5, math.inf), "blur_px is inf"),
        ((0.5, 1.0, -0.1), "focus_range is -0.1"),
        ((0.5, 1.0, 0.1, math.nan), "widest_transition is nan"),
    ):
        with pytest.raises(ValueError, match=words):
            signed_coc_px(depth, *arguments)


def table_of(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of docs/conventions.md, without its two head lines."""
    section = CONVENTIONS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" *") for cell in row] for row in rows[2:]]


def test_the_worked_example_of_the_conventions() -> None:
    """50 mm f/1.8 focused at 2 m, on a picture 4000 px wide."""
    lens, focus_m, px_per_mm = Lens(50, 1.8), 2.0, 4000 / 36
    rows = table_of("Worked example")
    assert len(rows) == 4
    for name, exact_mm, ours_mm, exact_px, ours_px, coc_px in rows:
        found = re.match(r"[\d.]+", name)
        distance_m = float(found[0]) if found else math.inf
        exact, ours = exact_disc_mm(lens, focus_m, distance_m), disc_mm(lens, focus_m, distance_m)
        assert exact_mm == f"{abs(exact):.3f}"
        assert ours_mm == f"{abs(ours):.3f}"
        assert exact_px == f"{abs(exact) * px_per_mm:.1f}"
        assert ours_px == f"{abs(ours) * px_per_mm:.1f}"
        coc = signed_coc_px(np.float32(1 / distance_m), 1 / focus_m, lens.blur_px(4000))
        assert coc_px == f"{coc:+.1f}"
    assert f"{lens.blur_px(4000):.2f} px m" in CONVENTIONS.read_text(encoding="utf-8")


def test_the_depth_of_field_of_the_conventions() -> None:
    """Near and far limit at a circle of confusion of 0.03 mm: the calculator's formula and ours."""
    lens, focus_m, circle_mm = Lens(50, 1.8), 2.0, 0.03
    f, focus = lens.focal_length_mm, focus_m * 1e3
    hyperfocal = f**2 / (lens.f_number * circle_mm) + f
    calculator = (
        focus * (hyperfocal - f) / (hyperfocal + focus - 2 * f) / 1e3,
        focus * (hyperfocal - f) / (hyperfocal - focus) / 1e3,
    )
    half = circle_mm / (2 * lens.blur_px(FULL_FRAME_WIDTH_MM))
    ours = (1 / (1 / focus_m + half), 1 / (1 / focus_m - half))
    rows = {row[0]: row[1:] for row in table_of("Depth of field")}
    assert rows["calculator"] == [f"{limit:.3f}" for limit in calculator]
    assert rows["DeepLens"] == [f"{limit:.3f}" for limit in ours]
    for limit in calculator:
        assert math.isclose(abs(exact_disc_mm(lens, focus_m, limit)), circle_mm, rel_tol=1e-9)
    for limit in ours:
        assert math.isclose(abs(disc_mm(lens, focus_m, limit)), circle_mm, rel_tol=1e-4)
