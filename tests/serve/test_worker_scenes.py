"""The scenes that workers keep and read again: the same subject is held, but not where its depth was repaired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.depth.files import write_depth_file
from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.photo_files import PhotoFiles
from deeplens_dof.serve.worker import WorkerState, analyse_photo, repair_depth

HEIGHT, WIDTH = 60, 90
SETTINGS = dl.Settings(focus=(0.5, 0.5), f_number=1.0, lens_mm=85.0)


def ignore(_: str) -> None:
    pass


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotoFiles:
    """A stored photo of a subject with relief before a far wall."""
    rgb = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    depth = np.full((HEIGHT, WIDTH), 0.1, np.float32)
    depth[10:50, 20:70] = np.linspace(0.5, 0.9, 40, dtype=np.float32)[:, None]
    matte = (depth > 0.2).astype(np.float32)
    found = dl.InverseDepth(depth, "relative"), matte
    monkeypatch.setattr("deeplens_dof.depth.predict.predict_scene", lambda _: found)
    files = PhotoFiles("a", tmp_path)
    Image.fromarray(rgb).save(files.photo, "PNG")
    return files


def test_a_scene_that_is_read_again_is_the_same(files: PhotoFiles) -> None:
    state = WorkerState(ServiceLimits())
    facts = analyse_photo(state, ignore, files, "predict")
    kept = state.scene(files, "preview")
    again = WorkerState(ServiceLimits()).scene(files, "full")
    assert (
        again.subject_confidence == pytest.approx(facts["subject_confidence"]) == pytest.approx(1, abs=0.01)
    )
    np.testing.assert_allclose(again.coc_px(SETTINGS), kept.coc_px(SETTINGS), atol=0.05)
    assert np.abs(again.coc_px(SETTINGS)[12:48, 25:65]).max() == 0


def test_depth_that_was_painted_is_not_held(files: PhotoFiles, tmp_path: Path) -> None:
    state = WorkerState(ServiceLimits())
    analyse_photo(state, ignore, files, "predict")
    depth = files.depth().values.copy()
    depth[30:40, 40:50] = 0.3
    painted = tmp_path / "repair.png"
    write_depth_file(painted, dl.InverseDepth(depth, "relative"))
    newer = PhotoFiles("a", tmp_path, 1)
    repair_depth(state, ignore, newer, painted)
    for found in (state, WorkerState(ServiceLimits())):
        coc = found.scene(newer, "preview").coc_px(SETTINGS)
        assert (coc[31:39, 41:49] < -0.5).all()
        assert np.abs(coc[14:24, 25:65]).max() == 0


def test_a_repair_of_measured_depth_holds_nothing(files: PhotoFiles, tmp_path: Path) -> None:
    state = WorkerState(ServiceLimits())
    given = tmp_path / "given.png"
    slope = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    write_depth_file(given, dl.InverseDepth(slope, "relative"))
    analyse_photo(state, ignore, files, given)
    assert files.matte() is None
    repair_depth(state, ignore, PhotoFiles("a", tmp_path, 1), given)
    assert WorkerState(ServiceLimits()).scene(PhotoFiles("a", tmp_path, 1), "full").matte is None
