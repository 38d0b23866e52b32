"""Data packed for another machine: the same layouts, smaller, within the room there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_samples import save

from deeplens_dof.datasets.folder import open_folder
from deeplens_dof.datasets.frames import frame_files
from deeplens_dof.datasets.pack import LONG_SIDE_PX, pack


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    metres = np.linspace(1, 4, 480)[:, None].repeat(640, 1)
    for number in range(6):
        save(tmp_path / "nyu" / "rgb" / f"{number}.jpg", rng.integers(0, 256, (480, 640, 3), np.uint8))
        save(tmp_path / "nyu" / "depth_mm" / f"{number}.png", np.rint(metres * 1000).astype(np.uint16))
        save(tmp_path / "people" / "image" / f"{number}.jpg", rng.integers(0, 256, (300, 200, 3), np.uint8))
        mask = np.zeros((300, 200), np.uint8)
        mask[100:] = 255
        save(tmp_path / "people" / "mask" / f"{number}.png", mask)
    return [f"rgbd:{tmp_path / 'nyu'}", f"masks:{tmp_path / 'people'}"]


def test_what_is_packed_is_read_as_before(data: list[str], frames_folder: Path, tmp_path: Path) -> None:
    folders = [open_folder(named, for_training=True) for named in data]
    size = pack(tmp_path / "out", folders, frames_folder, 60)
    assert size < 5
    depth, masks = (
        open_folder(f"{kind}:{tmp_path}/out/{k}-{kind}") for k, kind in enumerate(("rgbd", "masks"))
    )
    for before, after in ((folders[0], depth), (folders[1], masks)):
        assert len(after.entries) == len(before.entries)
    one = next(depth.samples())
    assert max(one.rgb.shape) == LONG_SIDE_PX
    metres = 1 / one.inverse_depth[:, 0]
    np.testing.assert_allclose(metres, np.linspace(1, 4, len(metres)), atol=0.01)
    subject = next(masks.samples()).subject
    assert subject is not None
    assert subject.mean() == pytest.approx(2 / 3, abs=0.01)
    assert len(frame_files(tmp_path / "out" / "frames")) == len(frame_files(frames_folder))


def test_what_is_too_much_is_left_out_evenly(data: list[str], tmp_path: Path) -> None:
    folders = [open_folder(named, for_training=True) for named in data]
    whole = pack(tmp_path / "whole", folders, None, 60)
    size = pack(tmp_path / "half", folders, None, whole / 2)
    assert 0.2 * whole < size <= 0.55 * whole
    names = sorted(path.stem for path in (tmp_path / "half" / "0-rgbd" / "rgb").iterdir())
    assert names[0] == "00000"
    assert names[-1] == "00005"
    with pytest.raises(ValueError, match="is there already"):
        pack(tmp_path / "half", folders, None, 1)
