"""Depth batches: determined by seed and index, labels aligned with pixels."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import data_samples
import numpy as np
import pytest
import torch

from deeplens_dof.datasets.folder import Folder, open_folder
from deeplens_dof.datasets.frames import Frame, frame_files
from deeplens_dof.datasets.sample import DatasetError
from deeplens_dof.learn.scenes import teacher_mattes
from deeplens_dof.learn.training.depth_batches import Photo, Source, as_photographed, batch


def test_a_batch_depends_on_seed_and_index_alone(frames_folder: Path) -> None:
    source = Source(frame_files(frames_folder))
    one, same, other = batch(source, 1, 5, 3, 84), batch(source, 1, 5, 3, 84), batch(source, 1, 6, 3, 84)
    assert (one.rgb == same.rgb).all()
    assert (one.inverse_depth == same.inverse_depth).all()
    assert one.rgb.shape != other.rgb.shape or (one.rgb != other.rgb).any()


def test_labels_stay_on_their_pixels(frames_folder: Path) -> None:
    """Brightness equals inverse depth in these frames, and still does after crop, flip and resizing."""
    source = Source(frame_files(frames_folder))
    for index in range(6):
        one = batch(source, 4, index, 4, 112)
        grey = one.rgb.mean(1)
        for picture, depth in zip(grey, one.inverse_depth, strict=True):
            ranks = [x.flatten().argsort().argsort().double() for x in (picture, depth)]
            assert float(torch.corrcoef(torch.stack(ranks))[0, 1]) > 0.95
        assert one.rgb.shape[-2] % 28 == 0
        assert one.rgb.shape[-1] % 28 == 0


def test_photos_have_a_matte_and_no_depth(frames_folder: Path) -> None:
    photo = Photo(np.zeros((60, 80, 3), np.uint8), np.ones((60, 80), np.float32))
    one = batch(Source(frame_files(frames_folder), (photo,), 1.0), 1, 0, 2, 56)
    assert one.has_depth.sum() == 0
    assert one.has_matte.sum() == 2
    assert one.matte.min() == pytest.approx(1)


def test_photographing_keeps_range_and_shape() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 30, 3), np.uint8)
    for _ in range(30):
        picture = as_photographed(rgb, rng)
        assert picture.shape == rgb.shape
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1


# Of `frames_folder` and the photo below: means of pictures, depths and mattes of four batches, plain and weighted by row.
# They hold for these versions of the libraries for JPEG, resizing and random numbers; processors differ in the last bits.
MADE_WITH = {"numpy": "2.4.6", "pillow": "13.0.0", "opencv-python-headless": "5.0.0.93"}
FRAMES_ALONE = [
    0.48394,
    0.24274,
    2.12282,
    1.05766,
    0.09109,
    0.05716,
    4.0,
    2.0,
    0.43938,
    0.19664,
    2.09721,
    0.96095,
    0.14925,
    0.05033,
    4.0,
    3.0,
    0.60054,
    0.31246,
    2.43409,
    1.26468,
    0.05251,
    0.02618,
    4.0,
    1.0,
    0.44977,
    0.23737,
    1.80906,
    0.94075,
    0.10653,
    0.07874,
    4.0,
    3.0,
]
WITH_A_PHOTO = [
    0.52833,
    0.26929,
    0.98811,
    0.51653,
    0.24839,
    0.12343,
    2.0,
    2.0,
    0.49867,
    0.25988,
    1.6938,
    0.89244,
    0.12437,
    0.06192,
    3.0,
    1.0,
    0.54135,
    0.25962,
    2.26003,
    1.0888,
    0.05125,
    0.02978,
    4.0,
    1.0,
    0.50768,
    0.24552,
    1.4552,
    0.70054,
    0.18219,
    0.09033,
    3.0,
    2.0,
]


def summary(source: Source) -> list[float]:
    """Means of four batches."""
    found = []
    for index in range(4):
        one = batch(source, 1, index, 4, 84)
        rows = torch.linspace(0, 1, one.rgb.shape[-2])[:, None]
        for part in (one.rgb, one.inverse_depth, one.matte):
            found += [float(part.mean()), float((part * rows).mean())]
        found += [float(one.has_depth.sum()), float(one.has_matte.sum())]
    return found


def test_without_measured_data_batches_are_those_of_before(frames_folder: Path) -> None:
    if {name: version(name) for name in MADE_WITH} != MADE_WITH:
        pytest.skip(f"the batches were made with {MADE_WITH}")
    rng = np.random.default_rng(7)
    photo = Photo(rng.integers(0, 256, (60, 80, 3), np.uint8), rng.random((60, 80), np.float32))
    files = frame_files(frames_folder)
    assert summary(Source(files)) == pytest.approx(FRAMES_ALONE, abs=3e-4)
    assert summary(Source(files, (photo,), 0.4)) == pytest.approx(WITH_A_PHOTO, abs=3e-4)
    assert batch(Source(files), 1, 0, 2, 56).known is None


@pytest.fixture
def measured(tmp_path: Path) -> Folder:
    """An RGB-D folder with holes and subjects, large enough to be cropped."""
    rows, columns = np.mgrid[0:60, 0:80]
    for number in range(3):
        metres = (1 + rows / 20 + number).astype(np.float32)
        metres[:, 20:30] = np.nan
        grey = np.rint(255 / metres.clip(1)).clip(0, 255)
        rgb = np.nan_to_num(grey)[..., None].repeat(3, 2).astype(np.uint8)
        data_samples.save(tmp_path / "rgb" / f"{number}.png", rgb)
        data_samples.save(tmp_path / "mask" / f"{number}.png", ((columns > 40) * 255).astype(np.uint8))
        (tmp_path / "depth").mkdir(exist_ok=True)
        np.save(tmp_path / "depth" / f"{number}.npy", metres)
    return open_folder(f"rgbd:{tmp_path}", for_training=True)


def test_measured_depth_comes_with_where_it_is_known(frames_folder: Path, measured: Folder) -> None:
    source = Source(frame_files(frames_folder), measured=(measured,), measured_share=1.0)
    for index in range(4):
        one, same = batch(source, 1, index, 3, 56), batch(source, 1, index, 3, 56)
        assert (one.rgb == same.rgb).all()
        assert one.known is not None
        assert one.has_depth.min() == one.has_matte.min() == 1
        assert 0 < one.known.mean() < 1
        assert (one.inverse_depth[one.known == 0] == 0).all()
        assert (one.inverse_depth[one.known > 0] > 0.16).all()  # 1 / 5.95 m is the farthest
        assert one.depth_weight is one.known


def test_frames_beside_measured_depth_are_known_everywhere(frames_folder: Path, measured: Folder) -> None:
    source = Source(frame_files(frames_folder), measured=(measured,), measured_share=0.5)
    shares = torch.cat([batch(source, 1, index, 4, 56).known.mean((1, 2)) for index in range(8)])
    whole = int((shares == 1).sum())
    assert 8 < whole < 24


def test_masks_teach_the_matte_alone(frames_folder: Path, tmp_path: Path) -> None:
    data_samples.masks(tmp_path)
    folder = open_folder(f"masks:{tmp_path}", for_training=True)
    one = batch(Source(frame_files(frames_folder), measured=(folder,), measured_share=1.0), 1, 0, 4, 56)
    assert one.has_depth.sum() == one.known.sum() == 0
    assert one.has_matte.sum() == 4
    assert one.matte.max() > 0.5


def test_broken_measured_samples_are_passed_over_or_end_the_run(
    frames_folder: Path, measured: Folder, tmp_path: Path
) -> None:
    (tmp_path / "depth" / "1.npy").write_bytes(b"broken")
    refusing = Source(frame_files(frames_folder), measured=(measured,), measured_share=1.0)
    with pytest.raises(DatasetError, match=r"1\.npy"):
        [batch(refusing, 1, index, 4, 56) for index in range(8)]
    told: list[str] = []
    skipping = open_folder(f"rgbd:{tmp_path}", "skip", told.append, for_training=True)
    source = Source(frame_files(frames_folder), measured=(skipping,), measured_share=1.0)
    assert all(batch(source, 1, index, 4, 56).has_depth.all() for index in range(8))
    assert len(told) == 1
    for number in (0, 2):
        (tmp_path / "depth" / f"{number}.npy").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="no sample that can be read"):
        batch(source, 1, 0, 1, 56)


def test_the_teachers_matte_takes_the_place_of_the_exact_one(frames_folder: Path, tmp_path: Path) -> None:
    files = [
        Path(shutil.copy(path, tmp_path / f"frame_{k:06d}.zip"))
        for k, path in enumerate(frame_files(frames_folder)[:2])
    ]
    teacher_mattes.teach(files, OneSaysLeft())
    exact, learnt = (
        batch(Source(files, teacher_mattes=one), 3, 0, 4, 84, augment=False) for one in (False, True)
    )
    assert (exact.rgb == learnt.rgb).all()
    assert (exact.inverse_depth == learnt.inverse_depth).all()
    assert (learnt.has_matte == 1).all()
    assert (learnt.matte[..., :5] == 1).all()
    assert (learnt.matte[..., -5:] == 0).all()


def test_a_teacher_who_is_not_sure_is_not_asked_again(frames_folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(frame_files(frames_folder)[0], tmp_path / "frame_000000.zip"))
    unsure = OneSaysLeft(0.5)
    assert teacher_mattes.teach([path], unsure) == 0
    assert teacher_mattes.teach([path], unsure) == 0
    assert unsure.asked == 1
    assert teacher_mattes.read_matte(path) is None


def test_an_exact_mask_with_which_the_teacher_agrees_is_kept() -> None:
    rgb, depth = np.zeros((60, 80, 3), np.uint8), np.ones((60, 80), np.float32)
    subject = np.zeros((60, 80), np.uint8)
    subject[:, :42] = 255
    said = OneSaysLeft().matte(rgb)
    np.testing.assert_array_equal(
        teacher_mattes.chosen(Frame(rgb, depth, subject, {}), said), subject / np.float32(255)
    )
    subject[:, 10:] = 0  # the teacher disagrees
    np.testing.assert_array_equal(teacher_mattes.chosen(Frame(rgb, depth, subject, {}), said), said)


class OneSaysLeft:
    """A teacher whose matte is the left half of every picture."""

    def __init__(self, value: float = 1.0) -> None:
        self.value, self.asked = value, 0

    def matte(self, rgb: np.ndarray) -> np.ndarray:
        self.asked += 1
        matte = np.zeros(rgb.shape[:2], np.float32)
        matte[:, : rgb.shape[1] // 2] = self.value
        return matte
