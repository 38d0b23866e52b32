"""Laws of the depth network in use: near is larger, every picture gets an answer of its own size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplens_dof.depth.predict import full_matte, network_size, predict_coarse, predict_depth
from deeplens_dof.depth.subject import depth_at, subject_point
from deeplens_dof.models import MODELS
from deeplens_dof.optics.inverse_depth import InverseDepth

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


def photo(name: str) -> np.ndarray:
    with Image.open(PHOTOS / f"{name}.jpg") as picture:
        return np.array(picture.convert("RGB"))


@pytest.fixture(scope="module")
def depths() -> dict[str, InverseDepth]:
    return {name: predict_depth(photo(name)) for name in ("astronaut", "coffee", "chelsea", "rocket")}


# (x, y) of something near and of something far behind it, by eye.
PAIRS = {
    "astronaut": [((0.43, 0.22), (0.70, 0.08)), ((0.45, 0.75), (0.62, 0.45))],
    "coffee": [((0.50, 0.35), (0.05, 0.08)), ((0.65, 0.85), (0.95, 0.10))],
    "chelsea": [((0.45, 0.50), (0.95, 0.15)), ((0.55, 0.80), (0.95, 0.50))],
    "rocket": [((0.50, 0.60), (0.65, 0.30)), ((0.50, 0.97), (0.38, 0.10))],
}


@pytest.mark.parametrize("name", PAIRS)
def test_near_is_larger(depths, name):
    for near, far in PAIRS[name]:
        assert depth_at(depths[name].values, near) > depth_at(depths[name].values, far) + 0.15


@pytest.mark.parametrize("name", PAIRS)
def test_the_depth_has_the_size_of_the_photo_and_fills_its_range(depths, name):
    depth = depths[name]
    assert depth.shape == photo(name).shape[:2]
    assert depth.unit == "relative"
    assert depth.values.dtype == np.float32
    assert 0 <= depth.values.min() < 0.1
    assert 0.9 < depth.values.max() <= 1


SUBJECTS = {  # left, top, right, bottom of the subject
    "astronaut": (0.28, 0.08, 0.62, 0.98),
    "coffee": (0.26, 0.05, 0.70, 0.72),
    "chelsea": (0.10, 0.15, 0.72, 0.95),
    "rocket": (0.46, 0.28, 0.55, 0.97),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_default_focus_is_on_the_subject(depths, name):
    left, top, right, bottom = SUBJECTS[name]
    x, y = subject_point(depths[name].values)
    assert left < x < right
    assert top < y < bottom


def test_a_mirrored_photo_has_the_mirrored_coarse_depth():
    rgb = photo("coffee")
    mirrored = predict_coarse(np.ascontiguousarray(rgb[:, ::-1])).inverse_depth[:, ::-1]
    np.testing.assert_allclose(mirrored, predict_coarse(rgb).inverse_depth, atol=2e-3)


def test_quality_has_not_fallen():
    """Spearman against Middlebury's motorcycle was 0.80 (benchmarks/depth.py); below 0.75 something broke."""
    from deeplens_dof.evaluate.metrics import spearman

    data = pytest.importorskip("skimage.data", reason="scikit-image brings the motorcycle")
    try:
        left, _, disparity = data.stereo_motorcycle()
    except (OSError, ModuleNotFoundError) as error:
        pytest.skip(f"the motorcycle photo is not in this scikit-image and cannot be fetched: {error}")
    known = np.isfinite(disparity) & (disparity > 0)
    assert spearman(predict_depth(left).values[known], disparity[known]) > 0.75


def test_the_same_photo_gives_the_same_depth():
    rgb = photo("chelsea")
    np.testing.assert_array_equal(predict_depth(rgb).values, predict_depth(rgb).values)


def test_a_view_with_strides_is_a_photo_too():
    rgb = photo("coffee")
    np.testing.assert_array_equal(
        predict_depth(rgb[::2, ::-2]).values, predict_depth(np.ascontiguousarray(rgb[::2, ::-2])).values
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (60, 600), (600, 60)])
@pytest.mark.parametrize("grey", [0, 255])
def test_tiny_constant_and_panoramic_pictures_get_an_answer(size, grey):
    depth = predict_depth(np.full((*size, 3), grey, np.uint8), mirrored_too=False)
    assert depth.shape == size
    assert 0 <= depth.values.min() <= depth.values.max() <= 1


@pytest.mark.parametrize(
    "size", [(3000, 4000), (4000, 3000), (500, 500), (1, 1), (1, 9999), (100, 1000), (9, 16)]
)
def test_the_network_sees_whole_tiles_near_the_aspect(size):
    model = MODELS["depth"]
    height, width = network_size(*size, model)
    assert height % model.multiple_px == width % model.multiple_px == 0
    assert model.multiple_px <= min(height, width)
    assert max(height, width) <= 2 * model.long_side_px
    if max(size) < 4 * min(size):
        assert abs(np.log((width / height) / (size[1] / size[0]))) < 0.1


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.zeros((4, 4, 3), np.float32), "picture is float32, expected .* uint8"),
        (np.zeros((4, 4, 3), np.uint16), "picture is uint16"),
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\), expected"),
        (np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ([[0, 0, 0]], "picture is list"),
    ],
)
def test_what_is_no_picture_is_refused(picture, sentence):
    with pytest.raises(ValueError, match=sentence):
        predict_depth(picture)


def test_a_matte_is_drawn_at_the_photos_edges() -> None:
    """Of a coarse, soft matte over a bright disc, the full one follows the disc."""
    y, x = np.mgrid[0:240, 0:320]
    inside = (x - 160) ** 2 + (y - 120) ** 2 < 70**2
    rgb = np.where(inside[..., None], (230, 200, 90), (40, 60, 80)).astype(np.uint8)
    coarse = np.clip((80 - np.hypot(x - 160, y - 120)) / 20, 0, 1).astype(np.float32)[4::8, 4::8]
    matte = full_matte(coarse, rgb)
    assert matte.shape == (240, 320)
    assert matte.min() >= 0
    assert matte.max() <= 1
    assert np.abs(matte - inside).mean() < 0.02
