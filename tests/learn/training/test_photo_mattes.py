"""Teacher mattes of photos: only where the teacher is sure and agrees on the mirror image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from data_samples import save

from deeplens_dof.datasets.folder import open_folder
from deeplens_dof.learn.training.photo_mattes import sure_matte, teach


class Bright:
    """A teacher whose matte is brightness, in the left half alone if told so."""

    def __init__(self, left_only: bool = False) -> None:
        self.left_only, self.asked = left_only, 0

    def matte(self, rgb: np.ndarray) -> np.ndarray:
        self.asked += 1
        matte = rgb[..., 0].astype(np.float32) / 255
        if self.left_only:
            matte[:, matte.shape[1] // 2 :] = 0
        return matte


def photo(columns: slice, value: int = 255) -> np.ndarray:
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[10:30, columns] = value
    return rgb


def test_a_matte_is_taught_where_photo_and_mirror_agree() -> None:
    rgb = photo(slice(5, 30))
    matte = sure_matte(rgb, Bright())
    assert matte is not None
    np.testing.assert_array_equal(matte, rgb[..., 0] / np.float32(255))
    assert sure_matte(photo(slice(5, 50)), Bright(left_only=True)) is None
    assert sure_matte(photo(slice(5, 30), 128), Bright()) is None
    assert sure_matte(photo(slice(0, 0)), Bright()) is None


def test_the_folder_is_read_as_mattes_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "clear.png", photo(slice(5, 30)))
    save(tmp_path / "photos" / "unsure.png", photo(slice(5, 30), 128))
    save(tmp_path / "photos" / "astronaut.png", photo(slice(5, 30)))
    teacher, told = Bright(), []
    for _ in range(2):
        assert teach(tmp_path / "photos", tmp_path / "out", teacher, told.append) == 1
    assert teacher.asked == 3
    assert all("astronaut" in sentence for sentence in told)
    (one,) = open_folder(f"mattes:{tmp_path / 'out'}", for_training=True).samples()
    assert one.name == "clear"
    assert one.subject is not None
    assert one.subject.max() == 1
    assert not one.has_depth
