"""Arrays in, arrays of the same shape and type out."""

from __future__ import annotations

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.photo.arrays import as_photo, like

KINDS = [np.uint8, np.uint16, np.float16, np.float32, np.float64, ">u2", ">f4"]
SHAPES = [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 1), (1, 9, 3), (9, 1, 4)]


def picture(shape: tuple[int, ...], kind: object) -> np.ndarray:
    values = np.random.default_rng(3).random(shape)
    kind = np.dtype(kind)
    return (values if kind.kind == "f" else np.rint(values * np.iinfo(kind).max)).astype(kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_there_and_back_is_the_same_array(shape, kind) -> None:
    given = picture(shape, kind)
    back = like(given, as_photo(given).linear())
    assert back.shape == given.shape
    assert back.dtype == given.dtype
    if given.dtype.kind == "u":
        assert np.array_equal(back, given)
    else:
        assert np.allclose(
            back.astype(float), given.astype(float), rtol=0, atol=1e-3 if kind == np.float16 else 2e-5
        )


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 4)], ids=str)
def test_blur_gives_back_the_kind_it_was_given(shape, kind) -> None:
    given = picture(shape, kind)
    before = given.copy()
    depth = dl.InverseDepth(np.tile(np.linspace(0, 1, 32, dtype=np.float32), (24, 1)), "relative")
    blurred = dl.blur(given, depth=depth, focus=(0.0, 0.5), f_number=0.7, lens_mm=200)
    assert (blurred.shape, blurred.dtype) == (given.shape, given.dtype)
    assert np.array_equal(given, before)
    assert not np.array_equal(blurred[..., :3], given[..., :3])
    if shape[2:] == (4,):  # alpha goes through the lens too
        assert not np.array_equal(blurred[..., 3], given[..., 3])


def test_views_and_read_only_arrays_are_fine() -> None:
    given = picture((40, 60, 3), np.uint8)[::2, ::-3]
    given.flags.writeable = False
    assert np.array_equal(as_photo(given).pixels, given)


def test_floats_beyond_their_range_are_clipped() -> None:
    given = np.array([[[-0.5, 0.5, 1.5]]], np.float32)
    assert as_photo(given).pixels.tolist() == [[[0, 32768, 65535]]]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((0, 5, 3), np.uint8), "shape .0, 5, 3., expected"),
        (np.zeros((5, 5, 2), np.uint8), "shape .5, 5, 2., expected"),
        (np.zeros((2, 5, 5, 3), np.uint8), "shape .2, 5, 5, 3., expected"),
        (np.zeros(5, np.uint8), "shape .5,., expected"),
        (np.zeros((5, 5, 3), np.int32), "type int32, expected uint8"),
        (np.zeros((5, 5, 3), np.uint32), "type uint32, expected uint8"),
        (np.zeros((5, 5, 3), bool), "type bool, expected uint8"),
        (np.full((5, 5, 3), np.nan), "NaN or infinite"),
        (np.full((5, 5, 3), np.inf), "NaN or infinite"),
        (np.full((5, 5, 3), 200.0), "values up to 200, expected sRGB from 0 to 1; divide it"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(given, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        as_photo(given)
