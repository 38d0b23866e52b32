"""`deeplens evaluate depth` in parts: every kind of folder is scored with position beside it; nothing is left out
silently."""

from __future__ import annotations

import json
from pathlib import Path

import data_samples
import numpy as np
import pytest

from deeplens_dof.evaluate.depth import score
from deeplens_dof.evaluate.depth.matte import is_one_clear_subject, matte_scores
from deeplens_dof.evaluate.depth.measured_photos import vertical_position
from deeplens_dof.evaluate.depth.report import Subject, depth_rows, markdown, matte_row
from deeplens_dof.evaluate.depth.score import DepthOptions, score_depth

POSITION = "vertical position only"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network of one thought (bright is near, and the subject) in place of the real one; an empty cache."""
    bright = lambda rgb: rgb.mean(2, dtype=np.float32) / 255  # noqa: E731
    monkeypatch.setattr(
        score, "predictors", lambda model, stages, threads: {POSITION: vertical_position, "bright": bright}
    )
    monkeypatch.setattr(score, "gives_a_matte", lambda model, session: True)
    monkeypatch.setattr(
        score,
        "predicted_subject",
        lambda rgb, model, threads: Subject((bright(rgb) > 0.8).astype(np.float32), (0.5, 0.5)),
    )
    monkeypatch.setenv("DEEPLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(score, "CACHE", tmp_path / "cache" / "evaluation")


def methods(report: dict, group: str) -> dict[str, dict]:
    return {row["method"]: row for row in report["depth"] if row["set"] == group}


def test_held_out_frames_are_scored_with_position_beside(frames_folder: Path) -> None:
    report = score_depth(DepthOptions(folders=(str(frames_folder),)))
    rows = methods(report, f"frames of {frames_folder.name}")
    assert list(rows) == [POSITION, "bright"]
    assert rows["bright"]["samples"] == 20
    assert rows["bright"]["spearman"] > 0.95 > rows[POSITION]["spearman"]
    (matte,) = report["matte"]
    assert matte["samples"] == 10, "every other frame has a subject"
    assert 0 < matte["iou"] < 1
    json.dumps(report)


@pytest.mark.parametrize("name", [name for name in data_samples.ALL if name != "masks"])
def test_measured_folders_are_scored(name: str, tmp_path: Path) -> None:
    if name in ("nyuv2 labelled", "megadepth"):
        pytest.importorskip("h5py", reason="HDF5 needs h5py: pip install '.[hdf5]'")
    data_samples.ALL[name](tmp_path / "data")
    report = score_depth(DepthOptions(folders=(f"{name.split()[0]}:{tmp_path / 'data'}",)))
    rows = methods(report, f"{name.split()[0]} data")
    assert rows[POSITION]["spearman"] == pytest.approx(-1, abs=0.02), "the plane is nearest at the top"
    assert ("absolute_relative" in rows["bright"]) == (name != "hrwsi"), (
        "of relative depth only the order is known"
    )
    assert len(rows["bright"]["each"]) == rows["bright"]["samples"]


def test_masks_are_scored_as_mattes_alone(tmp_path: Path) -> None:
    data_samples.masks(tmp_path / "data")
    report = score_depth(DepthOptions(folders=(f"masks:{tmp_path / 'data'}",)))
    assert report["depth"] == []
    assert report["matte"][0]["samples"] == 2


def test_a_limit_is_spread_evenly(frames_folder: Path) -> None:
    report = score_depth(DepthOptions(folders=(str(frames_folder),), limit=3))
    each = methods(report, f"frames of {frames_folder.name}")["bright"]["each"]
    assert [entry["sample"] for entry in each] == ["frame_000000", "frame_000010", "frame_000019"]


def test_broken_files_are_in_the_report_or_refused(tmp_path: Path) -> None:
    data_samples.diode(tmp_path / "data")
    broken = next((tmp_path / "data").rglob("*_2_depth.npy"))
    broken.write_bytes(b"no array")
    told: list[str] = []
    report = score_depth(DepthOptions(folders=(str(tmp_path / "data"),), tell=told.append))
    assert methods(report, "diode data")["bright"]["samples"] == 1
    assert [note for note in report["notes"] if broken.name in note]
    assert [text for text in told if text.startswith("skipped") and broken.name in text]
    with pytest.raises(ValueError, match=broken.name):
        score_depth(DepthOptions(folders=(str(tmp_path / "data"),), on_error="refuse"))


def test_a_broken_frame_is_in_the_report_or_refused(frames_folder: Path, tmp_path: Path) -> None:
    for number in range(2):
        copy = tmp_path / "frames" / "000" / f"frame_00000{number}.zip"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(next(frames_folder.rglob("*.zip")).read_bytes()[: None if number else 99])
    report = score_depth(DepthOptions(folders=(str(tmp_path / "frames"),)))
    assert methods(report, "frames of frames")["bright"]["samples"] == 1
    assert len([note for note in report["notes"] if "frame_000000.zip is not a frame" in note]) == 1
    with pytest.raises(ValueError, match="is not a frame"):
        score_depth(DepthOptions(folders=(str(tmp_path / "frames"),), on_error="refuse"))


def test_a_missing_teacher_and_missing_photos_are_said(frames_folder: Path, tmp_path: Path) -> None:
    report = score_depth(
        DepthOptions(folders=(str(frames_folder),), photos=(tmp_path,), limit=1, teacher=list)
    )
    assert any("whose teacher U2-Net is not at" in note for note in report["notes"])
    with pytest.raises(FileNotFoundError, match="fetch_evaluation_data"):
        score_depth(DepthOptions())


def test_photos_that_may_be_trained_on_tell_nothing(tmp_path: Path) -> None:
    photos = tmp_path / "cache" / "assets" / "opencv-doc"
    data_samples.save(photos / "messi5.jpg", data_samples.rgb())
    data_samples.save(photos / "lena.jpg", data_samples.rgb())
    told: list[str] = []
    found = score._photos(DepthOptions(photos=(photos,)), told.append)
    assert [path.name for path in found if path.parent == photos] == ["lena.jpg"]
    assert "messi5.jpg may be trained on" in told[0]


def test_mattes_of_the_teacher_are_compared_and_broken_photos_told(tmp_path: Path) -> None:
    class Teacher:
        def matte(self, rgb: np.ndarray) -> np.ndarray:
            return np.ones(rgb.shape[:2], np.float32)

    data_samples.save(tmp_path / "white.png", np.full((8, 8, 3), 255, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    told: list[str] = []
    paths = sorted(tmp_path.glob("*.png"))
    row = matte_row(
        "photos",
        score._mattes_of(Teacher(), paths, told.append),
        lambda rgb: Subject(rgb[..., 0] / 255, (0, 1)),
    )
    assert row is not None
    assert row["samples"] == row["iou"] == 1
    assert row["sad"] == 0
    assert "broken.png" in told[0]


def test_matte_scores() -> None:
    truth = np.zeros((10, 10), np.float32)
    truth[:5] = 1
    assert matte_scores(truth, truth).iou == 1
    shifted = matte_scores(np.roll(truth, 1, 0), truth)
    assert shifted.iou == pytest.approx(40 / 60)
    assert shifted.sad == pytest.approx(0.02)
    assert shifted.mean_difference == pytest.approx(0.2)
    nothing = np.zeros_like(truth)
    assert matte_scores(nothing, nothing).iou == 1
    assert matte_scores(nothing, truth).iou == 0
    assert is_one_clear_subject(truth)
    assert not is_one_clear_subject(nothing)
    assert not is_one_clear_subject(nothing + 0.5)
    with pytest.raises(ValueError, match="shapes"):
        matte_scores(nothing[1:], truth)


def test_the_table_has_a_line_for_every_method() -> None:
    from deeplens_dof.evaluate.depth.measured_photos import DepthSet

    rgb = data_samples.rgb()
    items = [DepthSet(str(n), rgb, (1 / data_samples.METRES).astype(np.float64), n == 1) for n in (1, 2)]
    rows = list(depth_rows("both", items, {POSITION: vertical_position}))
    text = markdown(
        {"model": {"file": "a.onnx", "sha256": "0"}, "depth": rows, "matte": [], "notes": ["A note."]}
    )
    assert "| both | 2 | vertical position only | -1.000 / -1.000 |  |  |  |" in text
    assert "- A note." in text


def test_the_focus_is_counted_where_there_is_one_clear_subject() -> None:
    truth = np.zeros((40, 60), np.float32)
    truth[10:30, 20:40] = 1
    rgb = np.zeros((40, 60, 3), np.uint8)
    points = iter([(0.5, 0.5), (0.05, 0.5), (0.99, 0.99)])
    samples = [("inside", rgb, truth), ("outside", rgb, truth), ("no subject", rgb, np.full_like(truth, 0.5))]
    row = matte_row("photos", samples, lambda rgb: Subject(truth, next(points)))
    assert row is not None
    assert row["clear"] == 2
    assert row["focus_inside"] == 0.5
    assert row["clear_iou"] == 1
