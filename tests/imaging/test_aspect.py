"""Laws of aspect ratios: rounding is no difference, another frame is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deeplens_dof.imaging.aspect import aspects_differ

SIDES = st.integers(8, 4000)


@given(SIDES, SIDES, st.floats(0.02, 50))
def test_a_picture_resized_and_rounded_shows_the_same_frame(height: int, width: int, factor: float) -> None:
    small = max(1, round(height * factor)), max(1, round(width * factor))
    assert not aspects_differ((height, width), small)


@given(st.integers(200, 4000), st.integers(200, 4000))
def test_a_crop_of_a_twentieth_shows_another(height: int, width: int) -> None:
    cropped = height, round(width * 0.95)
    assert aspects_differ((height, width), cropped)
    assert aspects_differ(cropped, (height, width))
